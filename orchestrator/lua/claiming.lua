-- What exchange.lua and claim.lua share, put between the prelude and them: how a job that was taken
-- from its queue becomes a running task. A job that isn't to run any more is dropped here, which is
-- what makes a doubled or outdated entry of a queue harmless.

-- A failed task on a queue was put there by RQ's own requeue: that is a resume of this task.
local function was_requeued(job)
  if job.state ~= 'failed' or call('HGET', job.key, 'status') ~= 'queued' then return false end
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

local function start(g, job, agent, worker, token)
  local execution = job.id .. ':' .. token
  job.attempt = job.attempt + 1
  job.state, job.agent, job.worker, job.token = 'running', agent, worker, token
  call('HSET', job.key, 'rw_state', 'running', 'rw_token', token, 'rw_agent', agent,
    'rw_worker', worker, 'rw_attempt', job.attempt, 'rw_started', NOW_MS, 'rw_logseq', '0',
    'status', 'started', 'started_at', rq_date(), 'worker_name', worker)
  call('SADD', agent_key(agent) .. ':held', job.id)
  -- RQ's tools fail a job whose score has passed, by their own clock: a day is out of their reach.
  call('ZADD', RQ .. ':wip:' .. job.origin, string.format('%.0f', NOW / 1000 + DAY_S), execution)
  call('HSET', RQ .. ':execution:' .. execution, 'id', token, 'job_id', job.id,
    'created_at', NOW_S, 'last_heartbeat', NOW_S, 'worker_name', worker)
  call('ZADD', RQ .. ':executions:' .. job.id, string.format('%.0f', NOW / 1000 + DAY_S), token)
  call('SADD', RQ .. ':worker:' .. worker .. ':executions', execution)
  if job.kind == 'prepare' then call('HSET', g.key, 'prepared:' .. job.path, agent) end
  if not g.begun then
    g.begun = true
    if call('HGET', g.key, 'state') == 'pending' then change_state(g, 'progressing') end
  end
  task_event(g, 'task.started', job)
  if released[job.id] then released[job.id], n_released = nil, n_released - 1 end
  return job
end

-- A task that has lost its worker twice may be what ends workers. It runs alone, so that the third
-- loss is nobody else's; where nobody is free for a minute, it is taken like any other.
local function is_suspect(job) return job.losses >= 2 end

local function must_wait(job, agent)
  if not is_suspect(job) then return false end
  if NOW - tonumber(call('HGET', job.key, 'rw_queued') or 0) > 60000 then return false end
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
  local job = type(released[id]) == 'table' and released[id] or load_job(id)
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

local function claim_from(queue, agent, worker, token)
  local key, aside, found = RQ .. ':queue:' .. queue, {}, nil
  -- Bounded, as a step of Redis stops everyone; what remains is dropped by the next claim.
  for _ = 1, 1000 do
    local id = call('LPOP', key)
    if not id then break end
    local job, stays = claim_job(id, agent, worker, token)
    if stays then aside[#aside + 1] = id end
    if job then
      found = job
      break
    end
  end
  for i = #aside, 1, -1 do call('LPUSH', key, aside[i]) end
  return found
end

-- Claims as they are told, and per generation the entries of its state log from the offset on.
local function claim_answers(claims, offsets)
  local told, logs, seen = {}, {}, {}
  for i, job in ipairs(claims) do
    local v = call('HMGET', job.key, 'data', 'rw_timeout', 'rw_queued', 'rw_started')
    told[i] = { job.id, job.name, job.gen, job.task, job.kind, job.path, tostring(job.attempt),
      job.token, v[1] or '', job.origin, v[2] or '', v[3] or '', v[4] or '' }
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
