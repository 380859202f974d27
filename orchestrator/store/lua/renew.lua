-- KEYS: agents.  ARGV 3..: agent id, lease (ms), lease while nothing is active (ms), how many
-- renewals of this lease were answered before: a store that knows of fewer came back older.
-- Renews all that an agent holds, which lives under this one lease, and shows RQ's tools the
-- executions of what it runs: most tasks have ended before anybody could look. While nothing is
-- active there is nothing to hold, so the lease may be a longer one; the first claim ends that.
local me, lease, idle_lease, beats = unpack(ARGV, 3, 6)
lease, idle_lease = tonumber(lease), tonumber(idle_lease)
-- Who has a worker's name has a lease.
local v = call('HMGET', agent_key(me), 'worker', 'lease', 'beats')
local is_older = v[1] and tonumber(v[3] or 0) < tonumber(beats)
if is_older or not v[1] then return { is_older and -1 or standing(me), 0, 0 } end
call('HSET', agent_key(me), 'beats', math.max(tonumber(v[3] or 0), beats + 1))
if idle_lease > lease and call('EXISTS', P .. ':active') == 0 then
  -- Longer than such a lease is left alone, shorter than what is left of it then (keeper.py).
  give_time_back(lease, 'quiet', string.format('%.0f', 0.55 * idle_lease))
  call('ZADD', KEYS[1], string.format('%.0f', NOW + idle_lease), me)
  if tonumber(v[2]) ~= lease then call('HSET', agent_key(me), 'lease', lease) end
  return { 1, 0, 1 }
end
give_time_back(lease, 'quiet', 0)
call('ZADD', KEYS[1], string.format('%.0f', NOW + lease), me)

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
return { 1, running, 0 }
