-- KEYS: generation.  ARGV 3..: name, gen, path, wanted replicas, the signature of that, and 'keep',
-- 'forget' or ''.
-- Changes how many replicas a service should have; the controller brings them, if they were asked
-- for by who has the secret. A number that is kept holds for later generations too, until it is
-- forgotten.
local name, n, path, wanted_text, signature, lasting = unpack(ARGV, 3, 8)
local g = stored(name, n)
local old = g and call('HGET', g.key .. ':services', path)
if not old then return 0 end
local ready, wanted = tonumber(call('HGET', g.key .. ':ready', path) or 0), tonumber(wanted_text)
call('HSET', g.key .. ':services', path, wanted_text)
call('HSET', g.key, 'scaled:' .. path, signature)
if lasting == 'keep' then call('HSET', g.name_key, 'scaled:' .. path, wanted_text) end
if lasting == 'forget' then call('HDEL', g.name_key, 'scaled:' .. path) end
count_short(g, ready >= tonumber(old), ready >= wanted)
commit()
return 1
