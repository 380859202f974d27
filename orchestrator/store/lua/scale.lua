-- KEYS: generation.  ARGV 3..: name, gen, path, wanted replicas.
-- Changes how many replicas a service should have; the controller brings them.
local name, n, path, wanted_text = unpack(ARGV, 3, 6)
local g = stored(name, n)
local old = g and call('HGET', g.key .. ':services', path)
if not old then return 0 end
local ready, wanted = tonumber(call('HGET', g.key .. ':ready', path) or 0), tonumber(wanted_text)
call('HSET', g.key .. ':services', path, wanted_text)
count_short(g, ready >= tonumber(old), ready >= wanted)
commit()
return 1
