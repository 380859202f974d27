-- KEYS: loads.  ARGV 3..: who reports, loads (packed; '' for none), for how long it counts (ms).
-- Says how many calls are under way and held where this reporter sees them, instead of what it said
-- before. The key goes when nobody has said anything for long.
local who, loads, counts_ms = unpack(ARGV, 3, 5)
if loads == '' then
  call('HDEL', KEYS[1], who)
else
  call('HSET', KEYS[1], who, NOW_MS .. ' ' .. loads)
end
call('PEXPIRE', KEYS[1], 20 * counts_ms)
return 1
