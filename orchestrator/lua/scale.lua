-- KEYS: name.  ARGV 3..: name, path, wanted replicas.
-- Changes how many replicas a service should have; the controller brings them.
local v = call('HMGET', KEYS[1], 'current', 'latest')
local n = v[1] or v[2]
local g = n and stored(ARGV[3], n)
local old = g and call('HGET', g.key .. ':services', ARGV[4])
if not old then return 0 end
local ready, wanted = tonumber(call('HGET', g.key .. ':ready', ARGV[4]) or 0), tonumber(ARGV[5])
call('HSET', g.key .. ':services', ARGV[4], ARGV[5])
count_short(g, ready >= tonumber(old), ready >= wanted)
commit()
return 1
