-- KEYS: generation.  ARGV 3..: name, gen, path, wanted replicas, the signature of that.
-- Changes how many replicas a service should have; the controller brings them, if they were asked
-- for by who has the secret.
local name, n, path, wanted_text, signature = unpack(ARGV, 3, 7)
local g = stored(name, n)
local old = g and call('HGET', g.key .. ':services', path)
if not old then return 0 end
local ready, wanted = tonumber(call('HGET', g.key .. ':ready', path) or 0), tonumber(wanted_text)
call('HSET', g.key .. ':services', path, wanted_text)
call('HSET', g.key, 'scaled:' .. path, signature)
count_short(g, ready >= tonumber(old), ready >= wanted)
commit()
return 1
