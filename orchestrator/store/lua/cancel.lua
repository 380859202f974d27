-- KEYS: generation.  ARGV 3..: name, gen, reason.
-- Cancels a generation that progresses: nothing of it starts any more, what it serves is to stop.
local g = stored(ARGV[3], ARGV[4])
local state = g and call('HGET', g.key, 'state')
if state ~= 'pending' and state ~= 'progressing' then return 0 end
rare.cancel_generation(g, ARGV[5])
commit()
return 1
