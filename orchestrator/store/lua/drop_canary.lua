-- KEYS: name.  ARGV 3..: name, gen, reason.
-- Takes the canary's share back and stops it; what is current serves on.
local name, n, reason = unpack(ARGV, 3, 5)
local g = stored(name, n)
if not g or call('HGET', g.name_key, 'canary') ~= n then return 0 end
call('HSET', g.key, 'how', 'canary rolled back', 'verdict', reason)
event(g, 'canary.rolled_back', 'reason', reason)
rare.stop_generation(g, reason)
commit()
return 1
