-- KEYS: sweep, agents, owners.  ARGV 3..: lease (ms), error and its RQ form for a task that was lost
-- too often, agent that calls or ''.
-- Ends every agent and owner whose lease is over. Safe to call from anywhere at any rate. Tells last
-- in how many milliseconds the next call can find something, as leases are now (that of who calls is
-- for others to find), and whether no generation was active.
local lease, error, exc, me = unpack(ARGV, 3, 6)
local known = call('HMGET', KEYS[1], 'swept', 'checked', 'tidied')
local swept, checked, tidied = tonumber(known[1] or 0), tonumber(known[2] or 0), tonumber(known[3] or 0)

-- When the first lease ends, and the first that isn't the caller's own.
local first, others

local function read_leases()
  first, others = math.huge, math.huge
  for i = 2, 3 do
    local leases = call('ZRANGE', KEYS[i], 0, 1, 'WITHSCORES')
    for j = 1, #leases, 2 do
      local ends = tonumber(leases[j + 1])
      first = math.min(first, ends)
      if leases[j] ~= me then others = math.min(others, ends) end
    end
  end
end

local function due(since)
  if others == math.huge then return {} end
  return { string.format('%.0f', math.max(others, since + 200) - NOW) }
end

local is_idle = call('EXISTS', P .. ':active') == 0
if math.abs(NOW - swept) < 200 then
  read_leases()
  return { {}, {}, {}, {}, {}, due(swept), is_idle and { '1' } or {} }
end
local is_checked = math.abs(NOW - checked) >= 1000
if is_checked then
  give_time_back(tonumber(lease), 'swept', NOW_MS, 'checked', NOW_MS)
else
  give_time_back(tonumber(lease), 'swept', NOW_MS)
end

local lost, requeued, failed, stopped, taken = {}, {}, {}, {}, {}
read_leases()
if first <= NOW then
  for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[2], '-inf', NOW_MS, 'LIMIT', 0, 10)) do
    lost[#lost + 1] = id
    local again, gone = end_agent(id, true, error, exc)
    for _, job in ipairs(again) do requeued[#requeued + 1] = job end
    for _, job in ipairs(gone) do failed[#failed + 1] = job end
  end
  local owners = call('ZRANGEBYSCORE', KEYS[3], '-inf', NOW_MS, 'LIMIT', 0, 100)
  if #owners > 0 then stopped = end_owners(owners, 'the program that owns it has ended') end
  read_leases()
end

-- The queue of the agent with the least to do among those that take from `queue`; nil for none.
local function own_queue(queue)
  -- What an agent says of itself is msgpack, where a short text stands behind its length.
  local name = (#queue < 32 and string.char(160 + #queue) or '\217' .. string.char(#queue)) .. queue
  local found, least
  for _, id in ipairs(call('ZRANGE', KEYS[2], 0, 99)) do
    local agent = call('HMGET', agent_key(id), 'state', 'info')
    if agent[1] == 'running' and string.find(agent[2] or '', name, 1, true) then
      local held = call('SCARD', agent_key(id) .. ':held')
      if not least or held < least then found, least = agent_queue(id), held end
    end
  end
  if found then call('SADD', RQ .. ':queues', RQ .. ':queue:' .. found) end
  return found
end

-- RQ's own tools and workers may take a job from our queue and fail it, for example a worker
-- without our serializer. They write that a year ahead, which tells it from what we wrote. Such a
-- worker takes the job again as soon as it is back, so it goes where only an agent takes from.
local function release_taken(queue)
  local far = string.format('%.0f', NOW / 1000 + 60 * DAY_S)
  for _, id in ipairs(call('ZRANGEBYSCORE', RQ .. ':failed:' .. queue, far, '+inf', 'LIMIT', 0, 100)) do
    local job = load_job(id)
    call('ZREM', RQ .. ':failed:' .. queue, id)
    call('PERSIST', job_key(id))
    if job and job.state == 'queued' then
      call('DEL', RQ .. ':results:' .. id)
      enqueue(job, own_queue(job.queue) or job.queue, true)
      taken[#taken + 1] = id
    elseif job and job.state == 'running' then
      call('HSET', job.key, 'status', 'started')
    elseif job and MIRROR[job.state] then
      rare.mirror_ended(job)
    end
  end
  -- A worker that died right after it took a job leaves it here; a minute is RQ's own patience.
  for _, id in ipairs(call('LRANGE', RQ .. ':queue:' .. queue .. ':intermediate', 0, 99)) do
    local seen = tonumber(call('HGET', KEYS[1], 'seen:' .. id) or 0)
    local job = load_job(id)
    if seen == 0 then
      call('HSET', KEYS[1], 'seen:' .. id, NOW_MS)
    elseif NOW - seen > 60000 then
      call('HDEL', KEYS[1], 'seen:' .. id)
      call('LREM', RQ .. ':queue:' .. queue .. ':intermediate', 0, id)
      if job and job.state == 'queued' then
        enqueue(job, job.queue, true)
        taken[#taken + 1] = id
      end
    end
  end
end

-- What failed and is to be tried again, when its pause is over.
local function release_due(queue)
  local key = RQ .. ':scheduled:' .. queue
  for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', NOW_S, 'LIMIT', 0, 100)) do
    local job = load_job(id)
    call('ZREM', key, id)
    if job and job.state == 'queued' and call('HGET', job.key, 'status') == 'scheduled' then
      enqueue(job, rare.queue_at(job, call('HGET', job.key, 'rw_home')), false)
    end
  end
end

-- What was left to the agent that had it before, which has no room for it now, is for anyone.
local function release_left(queue)
  if string.sub(queue, 1, #agent_queue('')) ~= agent_queue('') then return end
  for _, id in ipairs(call('LRANGE', RQ .. ':queue:' .. queue, 0, 99)) do
    local job = load_job(id)
    if job and job.kind == 'train' and job.state == 'queued'
      and NOW - (tonumber(job.since) or 0) > 5000 then
      call('LREM', RQ .. ':queue:' .. queue, 1, id)
      enqueue(job, job.queue, true)
    end
  end
end

-- RQ's requeue puts failed tasks on their queue, at one of its ends, and tells no agent of it.
local function ring_for_requeued(queue)
  for _, at in ipairs({ 0, -1 }) do
    local id = call('LINDEX', RQ .. ':queue:' .. queue, at)
    if not id then return end
    local job = load_job(id)
    if job and job.state == 'failed' then n_released = n_released + 1 end
  end
end

local function tidy(queue)
  for _, kind in ipairs({ 'finished', 'failed', 'canceled' }) do
    call('ZREMRANGEBYSCORE', RQ .. ':' .. kind .. ':' .. queue, '-inf', NOW_S)
  end
  -- A task that runs for more than a day stays out of the reach of RQ's tools.
  for _, execution in ipairs(call('ZRANGE', RQ .. ':wip:' .. queue, 0, 999)) do
    call('ZADD', RQ .. ':wip:' .. queue, string.format('%.0f', NOW / 1000 + DAY_S), execution)
  end
end

local is_due = math.abs(NOW - tidied) > 3600000
if is_checked then
  local ours = RQ .. ':queue:' .. P .. '-'
  for _, key in ipairs(call('SMEMBERS', RQ .. ':queues')) do
    if string.sub(key, 1, #ours) == ours then
      local queue = string.sub(key, #RQ + 8)
      -- What was taken, or is to be tried again, is active.
      if not is_idle then
        release_taken(queue)
        release_due(queue)
        release_left(queue)
      end
      ring_for_requeued(queue)
      if is_due then tidy(queue) end
    end
  end
end
if is_due then
  call('HSET', KEYS[1], 'tidied', NOW_MS)
  for _, name in ipairs(call('ZRANGE', P .. ':deployments', 0, -1)) do
    if call('EXISTS', P .. ':{' .. name .. '}') == 0 then call('ZREM', P .. ':deployments', name) end
  end
end
commit()
return { lost, requeued, failed, stopped, taken, due(NOW), is_idle and { '1' } or {} }
