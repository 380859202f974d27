-- KEYS: generation.  ARGV 3..: name, gen, path, wanted replicas.
-- Changes how many replicas a service should have; the controller brings them.
local g = stored(ARGV[3], ARGV[4])
local old = g and call('HGET', g.key .. ':services', ARGV[5])
if not old then return 0 end
local ready, wanted = tonumber(call('HGET', g.key .. ':ready', ARGV[5]) or 0), tonumber(ARGV[6])
call('HSET', g.key .. ':services', ARGV[5], ARGV[6])
count_short(g, ready >= tonumber(old), ready >= wanted)
commit()
return 1
