-- KEYS: generation.  ARGV 3..: name, gen, reason.
-- Fails a generation that progresses, for example at its deadline.
local name, n, reason = unpack(ARGV, 3, 5)
local g = stored(name, n)
local state = g and call('HGET', g.key, 'state')
if state ~= 'pending' and state ~= 'progressing' then return 0 end
rare.fail_generation(g, reason)
commit()
return 1
