-- KEYS: name, reservation, secret, agents, store.  ARGV 3..: seconds that a reservation is kept, a new
-- store id, fingerprints of the secrets that the submitter has (without any nothing is compared).
-- Gives a submission its generation number, and the id of the store that it is to be signed for; the
-- same submission gets the same number again. It is 0, and nothing is written, for one that the
-- workers who live here couldn't verify. Third come paths with the replicas that were set by hand.
local keep_s, store_id = ARGV[3], ARGV[4]
local known = #ARGV > 4 and call('GET', KEYS[3])
if known and call('ZCOUNT', KEYS[4], '(' .. NOW_MS, '+inf') > 0 then
  local is_theirs = false
  for i = 5, #ARGV do is_theirs = is_theirs or ARGV[i] == known end
  if not is_theirs then return { 0, '', {} } end
end
local function answer(number)
  local fields, scaled = call('HGETALL', KEYS[1]), {}
  for i = 1, #fields, 2 do
    local path = string.match(fields[i], '^scaled:(.+)$')
    if path then scaled[#scaled + 1], scaled[#scaled + 2] = path, fields[i + 1] end
  end
  return { number, call('GET', KEYS[5]), scaled }
end
call('SET', KEYS[5], store_id, 'NX')
local n = call('GET', KEYS[2])
if n then return answer(tonumber(n)) end
n = call('HINCRBY', KEYS[1], 'reserved', 1)
call('SET', KEYS[2], n, 'EX', keep_s)
local ttl = call('TTL', KEYS[1])
local live = tonumber(call('HGET', KEYS[1], 'live') or 0)
if live <= 0 and ttl < tonumber(keep_s) then call('EXPIRE', KEYS[1], keep_s) end
return answer(n)
