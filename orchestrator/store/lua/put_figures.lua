-- KEYS: generation, its figures.  ARGV 3..: name, gen, who has counted, what.
-- Stores what one caller has counted of the calls of a canary and of what is current beside it,
-- since it began: the last of a caller counts.
local name, n, reporter, counted = unpack(ARGV, 3, 6)
local g = stored(name, n)
if not g or call('HGET', g.name_key, 'canary') ~= n then return 0 end
-- Each program that calls is one: they are many where each makes one call, and all alike.
if call('HLEN', KEYS[2]) >= 2000 and call('HEXISTS', KEYS[2], reporter) == 0 then return 0 end
call('HSET', KEYS[2], reporter, counted)
return 1
