-- What exchange.lua and claim.lua share: how a job that was taken from its queue becomes a running
-- task. A job that isn't to run any more is dropped here, which is what makes a doubled or outdated
-- entry of a queue harmless.

local TOMORROW_S = string.format('%d', NOW / 1000 + DAY_S)

local function start(job, agent, worker, token)
  local g = job.g
  job.queued, job.claimed = job.since, NOW_MS
  job.attempt = job.attempt == '0' and '1' or string.format('%d', job.attempt + 1)
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
  gather('ZADD', RQ .. ':wip:' .. job.origin, TOMORROW_S, job.id .. ':' .. token)
  if job.kind == 'prepare' then call('HSET', g.key, 'prepared:' .. path_of(job), agent) end
  if not g.begun then
    g.begun = true
    if options(g).is_pending then rare.change_state(g, 'progressing') end
  end
  task_event(g, 'task.started', job)
  if released[job.id] then released[job.id], n_released = nil, n_released - 1 end
  return job
end

-- See quarantine.lua.
local function is_suspect(job) return job.losses ~= '0' and tonumber(job.losses) >= 2 end

-- Returns the job, or nil and whether it is to stay on its queue.
local function claim_job(id, agent, worker, token)
  -- What this very script has released needs no second reading.
  local job = released[id] or load_job(id)
  if not job then return nil end
  if job.state == 'failed' and rare.was_requeued(job) then job = load_job(id) end
  if job.state ~= 'queued' then return nil end
  if job.kind == 'prepare' and call('HEXISTS', job.g.key, 'begun:' .. path_of(job)) == 1 then
    end_task(job.g, job, 'skipped', 'its deploy began first')
    return nil
  end
  if is_suspect(job) then
    if rare.must_wait(job, agent) then return nil, true end
    call('HSET', agent_key(agent), 'alone', job.id)
  end
  return start(job, agent, worker, token)
end

-- Claims up to `limit` jobs of a queue, and no other beside a suspect.
local function claim_from(queue, agent, worker, request, limit, claims)
  local key, aside = RQ .. ':queue:' .. queue, {}
  -- Bounded, as a step of Redis stops everyone; what remains is dropped by the next claim.
  for _ = 1, 1000 do
    local wanted = limit - #claims
    local ids, list = call('LPOP', key, wanted) or {}, pushes[key]
    -- Behind them are those that this script is about to put there.
    while list and #ids < wanted and #list > 1 do ids[#ids + 1] = table.remove(list, 2) end
    for _, id in ipairs(ids) do
      local job, stays = nil, true
      if #claims < limit then job, stays = claim_job(id, agent, worker, request .. '-' .. #claims) end
      if stays then aside[#aside + 1] = id end
      if job then
        claims[#claims + 1] = job
        if is_suspect(job) then limit = #claims end
      end
    end
    if #claims >= limit or #ids < wanted then break end
  end
  for i = #aside, 1, -1 do call('LPUSH', key, aside[i]) end
  return limit
end

-- Adds to an answer how many claims there are, each as two values, and per generation its id, the
-- length of its state log, how many entries that has from the offset on, and these. All in one list:
-- for the server, a list in a list costs as much as a command.
local function tell(answer, claims, offsets)
  local generations_of, n = {}, #answer + 1
  answer[n] = #claims
  for _, job in ipairs(claims) do
    local g = job.g
    -- A line for each: none of them can hold a line's end.
    answer[n + 1] = job.id .. '\n' .. g.id .. '\n' .. task_of(job) .. '\n' .. job.attempt .. '\n'
      .. job.token .. '\n' .. job.origin .. '\n' .. (job.timeout or '') .. '\n' .. job.queued .. '\n'
      .. job.claimed .. '\n' .. (job.steps or '')
    answer[n + 2] = job.data
    n = n + 2
    if not generations_of[g] then
      generations_of[g], generations_of[#generations_of + 1] = true, g
    end
  end
  for _, g in ipairs(generations_of) do
    local from, entries = tonumber(offsets[g.id] or 0), g.log
    -- Often those are new that this very script has written.
    if not g.length or g.length - #entries ~= from then
      entries = call('LRANGE', g.key .. ':states', from, -1)
    end
    answer[n + 1], answer[n + 3] = g.id, #entries
    answer[n + 2] = #entries > 0 and from + #entries or call('LLEN', g.key .. ':states')
    n = n + 3
    for i = 1, #entries do answer[n + i] = entries[i] end
    n = n + #entries
  end
  return answer
end
