-- KEYS: generation.  ARGV 3..: name, gen, reason.
-- Fails a generation that progresses, for example at its deadline.
local g = stored(ARGV[3], ARGV[4])
local state = g and call('HGET', g.key, 'state')
if state ~= 'pending' and state ~= 'progressing' then return 0 end
rare.fail_generation(g, ARGV[5])
commit()
return 1
