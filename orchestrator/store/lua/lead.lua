-- KEYS: controller.  ARGV 3..: agent id, lease (ms).
-- Takes or keeps the lead; there is at most one leader at a time.
local leader = call('GET', KEYS[1])
if (leader and leader ~= ARGV[3]) or not is_agent(ARGV[3]) then return 0 end
call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
