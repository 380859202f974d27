-- KEYS: name, reservation.  ARGV 3: seconds that a reservation is kept.
-- Gives a submission its generation number; the same submission gets the same again.
local n = call('GET', KEYS[2])
if n then return tonumber(n) end
n = call('HINCRBY', KEYS[1], 'reserved', 1)
call('SET', KEYS[2], n, 'EX', ARGV[3])
local ttl = call('TTL', KEYS[1])
local live = tonumber(call('HGET', KEYS[1], 'live') or 0)
if live <= 0 and ttl < tonumber(ARGV[3]) then call('EXPIRE', KEYS[1], ARGV[3]) end
return n
