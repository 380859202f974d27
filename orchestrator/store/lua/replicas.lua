-- What the scripts share that change the registry of replicas, and those that end an agent.

local function parse_replica(value)
  local state, agent, path = string.match(value, '^(%S+) (%S+) ([^\n]*)\n')
  return { state = state, agent = agent, path = path }
end

local function held_replica(g, replica) return g.id .. '/' .. replica end

-- Keeps `short` right when a service's ready or wanted replicas change.
local function count_short(g, was_enough, is_enough)
  if was_enough == is_enough then return end
  call('HINCRBY', g.key, 'short', is_enough and -1 or 1)
  g.check = true
end

-- How many ready replicas a service misses nothing with: of more that its calls have asked for, it
-- is enough that they are on their way.
local function enough(g, path, wanted)
  local floor = tonumber(call('HGET', g.key .. ':scaling', 'floor:' .. path) or wanted)
  return math.min(floor, wanted)
end

local function count_ready(g, path, change)
  local wanted = enough(g, path, tonumber(call('HGET', g.key .. ':services', path) or 0))
  local ready = call('HINCRBY', g.key .. ':ready', path, change)
  count_short(g, ready - change >= wanted, ready >= wanted)
end

-- Changes how many replicas a service is to have, `floor` ('' for all) how many of them are enough.
local function set_wanted(g, path, before, wanted, signature, floor, why)
  local ready = tonumber(call('HGET', g.key .. ':ready', path) or 0)
  local was_enough = ready >= enough(g, path, tonumber(before))
  call('HSET', g.key .. ':services', path, wanted)
  call('HSET', g.key, 'scaled:' .. path, signature)
  if floor ~= '' then
    call('HSET', g.key .. ':scaling', 'floor:' .. path, floor)
  else
    call('HDEL', g.key .. ':scaling', 'floor:' .. path)
  end
  count_short(g, was_enough, ready >= enough(g, path, tonumber(wanted)))
  if before == wanted then return end
  event(g, 'scaled', 'path', path, 'before', before, 'wanted', wanted, 'reason', why)
  -- Who holds calls for it, or is about to, is to know whether one is on its way.
  rare.changed('scale', g, 'path', path)
  if tonumber(wanted) < tonumber(before) then rare.cancel_surplus(g, path, tonumber(wanted)) end
end

local function replica_event(g, name, replica, path, state, worker, reason)
  event(g, name, 'replica', replica, 'path', path, 'state', state, 'worker', worker or '',
    'reason', reason or '')
end

local function drop_replica(g, replica, state, reason)
  local value = call('HGET', g.key .. ':replicas', replica)
  if not value then return false end
  local old = parse_replica(value)
  -- What can't be read was written by somebody else, and is nobody's (see mend.lua).
  if not old.path then return false end
  call('HDEL', g.key .. ':replicas', replica)
  call('HDEL', g.key, 'logged:' .. replica)
  -- So that a call which arrives late doesn't bring it back.
  call('SET', P .. ':dropped:' .. replica, 1, 'EX', 600)
  call('SREM', agent_key(old.agent) .. ':held', held_replica(g, replica))
  if old.state == 'ready' then count_ready(g, old.path, -1) end
  rare.changed('drop', g, 'path', old.path, 'replica', replica)
  replica_event(g, 'replica.' .. state, replica, old.path, state,
    call('HGET', agent_key(old.agent), 'worker'), reason)
  g.check = true
  return true
end

-- An agent is gone: what it held goes back or out, and its id never comes back. `lost` tells a
-- death, which counts against its tasks, from a leave, which doesn't.
local function end_agent(id, lost, error, exc)
  local requeued, failed = {}, {}
  -- A set has no order of its own. Ids of a plan are as long as their numbers are, and who is put in
  -- front of a queue last stands first: so its tasks come back in the order of the plan.
  local held = call('SMEMBERS', agent_key(id) .. ':held')
  table.sort(held, function(a, b)
    if #a ~= #b then return #a > #b end
    return a > b
  end)
  for _, member in ipairs(held) do
    local name, n, replica = string.match(member, '^(.+)@(%d+)/(.*)$')
    local job = not name and load_job(member)
    if name then
      drop_replica(generation(name, n), replica, lost and 'lost' or 'stopped',
        lost and 'its worker was lost' or 'its worker has left')
    elseif job and job.state == 'running' and job.agent == id then
      local g = job.g
      local again = true
      if lost then
        again = rare.lose_task(g, job, 'worker ' .. job.worker .. ' was lost', error, exc)
      else
        rare.give_back(g, job, '', true)
      end
      local list = again and requeued or failed
      list[#list + 1] = job.id
    end
  end
  flush()
  local own = agent_queue(id)
  while true do
    local waiting = call('RPOP', RQ .. ':queue:' .. own)
    if not waiting then break end
    local job = load_job(waiting)
    if job and job.state == 'queued' then enqueue(job, job.queue, true) end
  end
  call('SREM', RQ .. ':queues', RQ .. ':queue:' .. own)
  call('ZREM', P .. ':agents', id)
  call('DEL', agent_key(id), agent_key(id) .. ':held', agent_key(id) .. ':inbox')
  call('HSET', agent_key(id), 'gone', NOW_MS)
  call('EXPIRE', agent_key(id), DAY_S)
  if call('GET', P .. ':controller') == id then call('DEL', P .. ':controller') end
  return requeued, failed
end
