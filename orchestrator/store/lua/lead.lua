-- KEYS: controller.  ARGV 3..: agent id, lease (ms).
-- Takes or keeps the lead; there is at most one leader at a time.
local agent, lease = unpack(ARGV, 3, 4)
local leader = call('GET', KEYS[1])
if (leader and leader ~= agent) or not is_agent(agent) then return 0 end
call('SET', KEYS[1], agent, 'PX', lease)
return 1
