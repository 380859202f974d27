-- KEYS: states, generation.  ARGV 3..: seconds, how many entries there are before these, entries.
-- Adds to the state log that a submission begins with, which goes by itself if it isn't sealed. Tells
-- whether they are there: entries that follow others than those that were counted are refused. What
-- is sealed already has them, and more.
local keep_s, before = ARGV[3], tonumber(ARGV[4])
if call('EXISTS', KEYS[2]) == 1 then return 1 end
local length, last = call('LLEN', KEYS[1]), before + #ARGV - 4
if length ~= before and length ~= last then return 0 end
if length == before then
  for i = 5, #ARGV, 1000 do
    call('RPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
  end
end
call('EXPIRE', KEYS[1], keep_s)
return 1
