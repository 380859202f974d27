-- What exchange.lua and claim.lua share, put between the prelude and them: how a job that was taken
-- from its queue becomes a running task. A job that isn't to run any more is dropped here, which is
-- what makes a doubled or outdated entry of a queue harmless.

-- A failed task on a queue was put there by RQ's own requeue: that is a resume of this task.
local function was_requeued(job)
  if job.state ~= 'failed' or call('HGET', job.key, 'status') ~= 'queued' then return false end
  flush()
  local g = of_job(job)
  local state = call('HGET', g.key, 'state')
  if state == 'pending' or state == 'progressing' or (state == 'failed' and not superseded(g)) then
    return revive(g, job.id)
  end
  mirror_ended(job)
  return false
end

local function is_late_prepare(g, job)
  return job.kind == 'prepare' and call('HEXISTS', g.key, 'begun:' .. job.path) == 1
end

local tomorrow

local function start(g, job, agent, worker, token)
  job.queued, job.claimed = job.since, NOW_MS
  job.attempt = string.format('%d', job.attempt + 1)
  job.state, job.agent, job.worker, job.token = 'running', agent, worker, token
  if job.is_pending then
    job.is_pending = false
    call('HSET', job.key, 'rw', record(job), 'status', 'started', 'started_at', rq_date(),
      'worker_name', worker, 'enqueued_at', rq_date(), 'origin', job.origin)
  else
    call('HSET', job.key, 'rw', record(job), 'status', 'started', 'started_at', rq_date(),
      'worker_name', worker)
  end
  gather('SADD', agent_key(agent) .. ':held', job.id)
  -- RQ's tools fail a job whose score has passed, by their own clock: a day is out of their reach.
  -- What else they show of an execution is written by the renewal that finds it (renew.lua).
  tomorrow = tomorrow or string.format('%.0f', NOW / 1000 + DAY_S)
  gather('ZADD', RQ .. ':wip:' .. job.origin, tomorrow, job.id .. ':' .. token)
  if job.kind == 'prepare' then call('HSET', g.key, 'prepared:' .. job.path, agent) end
  if not g.begun then
    g.begun = true
    if options(g).is_pending then change_state(g, 'progressing') end
  end
  task_event(g, 'task.started', job)
  if released[job.id] then released[job.id], n_released = nil, n_released - 1 end
  return job
end

-- A task that has lost its worker twice may be what ends workers. It runs alone, so that the third
-- loss is nobody else's; where nobody is free for a minute, it is taken like any other.
local function is_suspect(job) return tonumber(job.losses) >= 2 end

local function must_wait(job, agent)
  if not is_suspect(job) then return false end
  if NOW - (tonumber(job.since) or 0) > 60000 then return false end
  flush()
  for _, member in ipairs(call('SMEMBERS', agent_key(agent) .. ':held')) do
    if not string.find(member, '/', 1, true) then return true end
  end
  return false
end

-- Whether the suspect that this agent took last still runs.
local function runs_alone(agent, id)
  if not id then return false end
  local job = load_job(id)
  if job and job.state == 'running' and job.agent == agent then return true end
  call('HDEL', agent_key(agent), 'alone')
  return false
end

-- Returns the job, or nil and whether it is to stay on its queue.
local function claim_job(id, agent, worker, token)
  -- What this very script has released needs no second reading.
  local job = released[id] or load_job(id)
  if not job then return nil end
  if was_requeued(job) then job = load_job(id) end
  if job.state ~= 'queued' then return nil end
  local g = of_job(job)
  if is_late_prepare(g, job) then
    end_task(g, job, 'skipped', 'its deploy began first')
    return nil
  end
  if must_wait(job, agent) then return nil, true end
  if is_suspect(job) then call('HSET', agent_key(agent), 'alone', job.id) end
  return start(g, job, agent, worker, token)
end

-- Takes up to `count` ids: from the queue, then those that this script is about to put on it.
local function take_ids(key, count)
  local ids, list = call('LPOP', key, count) or {}, pushes[key]
  while list and #ids < count and #list > 1 do ids[#ids + 1] = table.remove(list, 2) end
  return ids
end

-- Claims up to `limit` jobs of a queue, and no other beside a suspect.
local function claim_from(queue, agent, worker, request, limit, claims)
  local key, aside = RQ .. ':queue:' .. queue, {}
  -- Bounded, as a step of Redis stops everyone; what remains is dropped by the next claim.
  for _ = 1, 1000 do
    if #claims >= limit then break end
    local ids = take_ids(key, limit - #claims)
    if #ids == 0 then break end
    for _, id in ipairs(ids) do
      local job, stays = nil, true
      if #claims < limit then job, stays = claim_job(id, agent, worker, request .. '-' .. #claims) end
      if stays then aside[#aside + 1] = id end
      if job then
        claims[#claims + 1] = job
        if is_suspect(job) then limit = #claims end
      end
    end
  end
  for i = #aside, 1, -1 do call('LPUSH', key, aside[i]) end
  return limit
end

-- Claims as they are told, and per generation the entries of its state log from the offset on.
local function claim_answers(claims, offsets)
  local told, logs, seen = {}, {}, {}
  for i, job in ipairs(claims) do
    -- One line each: none of them can hold a line's end.
    told[i] = { table.concat({ job.id, job.name, job.gen, job.task, job.attempt, job.token,
      job.origin, job.timeout or '', job.queued or '', job.claimed or '' }, '\n'), job.data }
    local g = of_job(job)
    if not seen[g.id] then
      seen[g.id] = true
      local from = tonumber(offsets[g.id] or 0)
      local entries = call('LRANGE', g.key .. ':states', from, -1)
      local length = #entries > 0 and from + #entries or call('LLEN', g.key .. ':states')
      logs[#logs + 1] = { g.id, length, entries }
    end
  end
  return { told, logs }
end
