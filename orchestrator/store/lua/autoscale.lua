-- KEYS: generation.  ARGV 3..: name, gen, path, how many replicas were wanted, how many are now, the
-- signature of that, how many ready ones are enough ('' for all), whether it sleeps (1 or ''), why, and
-- the range that the number is of.
-- Changes how many replicas a service should have by its calls, if nobody has changed it meanwhile.
local name, n, path, before, wanted, signature, floor, sleeps, why, range = unpack(ARGV, 3, 12)
local g = stored(name, n)
local state = g and call('HGET', g.key, 'state')
if state ~= 'progressing' and state ~= 'ready' and state ~= 'degraded' then return 0 end
if call('HGET', g.key .. ':services', path) ~= before then return 0 end
local scaling = g.key .. ':scaling'
if sleeps == '1' then
  call('HSETNX', scaling, 'asleep:' .. path, NOW_MS)
else
  call('HDEL', scaling, 'asleep:' .. path)
end
call('HSET', scaling, 'why:' .. path, why, 'range:' .. path, range)
set_wanted(g, path, before, wanted, signature, floor, why)
commit()
return 1
