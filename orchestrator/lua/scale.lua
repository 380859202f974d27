-- KEYS: generation.  ARGV 3..: name, gen, path, wanted replicas.
-- Changes how many replicas a service should have; the controller brings them.
local g = stored(ARGV[3], ARGV[4])
local old = g and tonumber(call('HGET', g.key .. ':services', ARGV[5]) or nil)
if not old then return 0 end
local ready, wanted = tonumber(call('HGET', g.key .. ':ready', ARGV[5]) or 0), tonumber(ARGV[6])
call('HSET', g.key .. ':services', ARGV[5], wanted)
count_short(g, ready >= old, ready >= wanted)
commit()
return 1
