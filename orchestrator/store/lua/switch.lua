-- KEYS: name.  ARGV 3..: name, gen, reason.
-- Makes a generation that was replaced and has kept its replicas the current one again. Tells -1 for
-- one that isn't whole now, and 0 for one that isn't warm.
local name, n, reason = unpack(ARGV, 3, 5)
local g = stored(name, n)
if not g then return 0 end
if call('HGET', g.name_key, 'current') == n then return 1 end
local is_warm = string.find(' ' .. (call('HGET', g.name_key, 'warm') or '') .. ' ', ' ' .. n .. ' ', 1, true)
if not is_warm then return 0 end
if call('HGET', g.key, 'state') ~= 'ready' then return -1 end
event(g, 'generation.current', 'reason', reason)
rare.become_current(g)
commit()
return 1
