-- KEYS: name.  ARGV 3..: name, gen, reason.
-- Makes the canary the current generation in one step; what was current stops. -1 while the canary
-- isn't whole, 0 when that generation is no canary.
local name, n, reason = unpack(ARGV, 3, 5)
local g = stored(name, n)
if not g or call('HGET', g.name_key, 'canary') ~= n then return 0 end
if call('HGET', g.key, 'state') ~= 'ready' then return -1 end
rare.promote(g, reason)
commit()
return 1
