-- KEYS: agent, agents, store.  ARGV 3..: agent id, lease (ms), worker, info, a new store id,
-- state, and 1 when workspaces lie on its own machine.
-- Registers an agent, or what it says of itself anew. An id whose lease has ended stays gone.
local agent, lease, worker, info, store_id, agent_state, keeps = unpack(ARGV, 3, 9)
if call('HEXISTS', KEYS[1], 'gone') == 1 then return { 0, call('GET', KEYS[3]) or '' } end
give_time_back(tonumber(lease))
call('SET', KEYS[3], store_id, 'NX')
call('HSET', KEYS[1], 'worker', worker, 'info', info, 'state', agent_state, 'keeps', keeps)
call('ZADD', KEYS[2], string.format('%.0f', NOW + lease), agent)
return { 1, call('GET', KEYS[3]) }
