-- KEYS: generation.  ARGV 3..: name, gen, the sealed record.
-- Stores what the modules of a generation are made of, as long as the generation is kept. Safe to
-- repeat.
local name, n, sealed = unpack(ARGV, 3, 5)
local g = stored(name, n)
if not g then return 0 end
call('SET', g.key .. ':identity', sealed)
local left = call('PTTL', g.key)
if left > 0 then call('PEXPIRE', g.key .. ':identity', left) end
return 1
