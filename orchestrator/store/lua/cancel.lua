-- KEYS: generation.  ARGV 3..: name, gen, reason.
-- Cancels a generation that progresses: nothing of it starts any more, what it serves is to stop.
local name, n, reason = unpack(ARGV, 3, 5)
local g = stored(name, n)
local state = g and call('HGET', g.key, 'state')
if state ~= 'pending' and state ~= 'progressing' then return 0 end
rare.cancel_generation(g, reason)
commit()
return 1
