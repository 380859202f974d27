-- KEYS: agents, store.  ARGV 3..: agent id, lease (ms).
-- Renews all that an agent holds, which lives under this one lease, and shows RQ's tools the
-- executions of what it runs: most tasks have ended before anybody could look.
local me = ARGV[3]
if not is_agent(me) then return { 0, call('GET', KEYS[2]) or '', 0 } end
give_time_back(tonumber(ARGV[4]))
call('ZADD', KEYS[1], string.format('%.0f', NOW + ARGV[4]), me)

local function show(id, rw, token)
  local worker = call('HGET', job_key(id), 'worker_name') or ''
  local execution = id .. ':' .. token
  call('HSET', RQ .. ':execution:' .. execution, 'id', token, 'job_id', id, 'created_at', NOW_S,
    'last_heartbeat', NOW_S, 'worker_name', worker)
  call('ZADD', RQ .. ':executions:' .. id, string.format('%.0f', NOW / 1000 + DAY_S), token)
  call('SADD', RQ .. ':worker:' .. worker .. ':executions', execution)
  call('HSET', job_key(id), 'rw', 'R' .. string.sub(rw, 2))
end

local running = 0
for _, member in ipairs(call('SMEMBERS', agent_key(me) .. ':held')) do
  if not string.find(member, '/', 1, true) then
    running = running + 1
    local rw = call('HGET', job_key(member), 'rw') or ''
    local token, agent = string.match(rw, '^r %d+ %d+ %d+ (%S*) (.*)$')
    if agent == me then show(member, rw, token) end
  end
end
return { 1, call('GET', KEYS[2]) or '', running }
