-- KEYS: agent, agents, store, emptied.  ARGV 3..: agent id, lease (ms), worker, info, a new store id,
-- state, 1 when workspaces lie on its own machine, request id, seconds that the loss is remembered.
-- Registers an agent that a store which has lost data knows nothing of, or less than it knew. What
-- the store still says that it runs goes back, as the agent has ended it; earlier requests are late.
-- Returns what replicas it is said to hold.
local agent, lease, worker, info, store_id, agent_state, keeps, request, keep_s = unpack(ARGV, 3, 11)
if call('HEXISTS', KEYS[1], 'gone') == 1 then return { 0, '', {} } end
give_time_back(tonumber(lease))
call('SET', KEYS[3], store_id, 'NX')
if call('EXISTS', KEYS[1]) == 0 then call('SET', KEYS[4], NOW_MS, 'NX', 'EX', keep_s) end
local replicas = {}
for _, member in ipairs(call('SMEMBERS', agent_key(agent) .. ':held')) do
  local job = not string.find(member, '/', 1, true) and load_job(member)
  if job and job.state == 'running' and job.agent == agent then
    job.attempt = job.attempt - 1
    rare.requeue(job.g, job, true, '')
  elseif not job then
    replicas[#replicas + 1] = member
  end
end
call('HSET', KEYS[1], 'worker', worker, 'info', info, 'state', agent_state, 'keeps', keeps,
  'request', request, 'claimed', '', 'beats', 0)
call('ZADD', KEYS[2], string.format('%.0f', NOW + lease), agent)
commit()
return { 1, call('GET', KEYS[3]), replicas }
