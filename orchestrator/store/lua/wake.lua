-- KEYS: generation.  ARGV 3..: name, gen, path, why.
-- Wakes a service that sleeps as nobody had called it: it is to have one replica, which is never more
-- than its plan has. The controller wakes what it will call. One that has no sleeping to end is left
-- as it is.
local name, n, path, why = unpack(ARGV, 3, 6)
local g = stored(name, n)
local scaling = g and g.key .. ':scaling'
if not g or call('HDEL', scaling, 'asleep:' .. path) == 0 then return 0 end
call('HSET', scaling, 'why:' .. path, why)
set_wanted(g, path, call('HGET', g.key .. ':services', path) or '0', '1', '', '0', why)
commit()
return 1
