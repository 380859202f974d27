-- KEYS: agent, agents, store.  ARGV 3..: agent id, lease (ms), worker, info, a new store id,
-- state.
-- Registers an agent, or what it says of itself anew. An id whose lease has ended stays gone.
if call('HEXISTS', KEYS[1], 'gone') == 1 then return { 0, call('GET', KEYS[3]) or '' } end
give_time_back(tonumber(ARGV[4]))
call('SET', KEYS[3], ARGV[7], 'NX')
call('HSET', KEYS[1], 'worker', ARGV[5], 'info', ARGV[6], 'state', ARGV[8])
call('ZADD', KEYS[2], string.format('%.0f', NOW + ARGV[4]), ARGV[3])
return { 1, call('GET', KEYS[3]) }
