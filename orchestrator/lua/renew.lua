-- KEYS: agents, store.  ARGV 3..: agent id, lease (ms).
-- Renews all that an agent holds, which lives under this one lease.
if not is_agent(ARGV[3]) then return { 0, call('GET', KEYS[2]) or '' } end
give_time_back(tonumber(ARGV[4]))
call('ZADD', KEYS[1], string.format('%.0f', NOW + ARGV[4]), ARGV[3])
return { 1, call('GET', KEYS[2]) or '' }
