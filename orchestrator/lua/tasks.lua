-- How a task moves: onto its queue, to its end, and what its end does to those that wait for it.
-- Changes of a generation's counters are gathered in it and written by `commit` (generations.lua).
-- Cascades are loops over a list of work, so that depth is no limit.

local released, n_released = {}, 0

local function enqueue(job, queue, front)
  call('HSET', job.key, 'rw_state', 'queued', 'rw_queued', NOW_MS, 'status', 'queued',
    'enqueued_at', rq_date(), 'origin', queue)
  call(front and 'LPUSH' or 'RPUSH', RQ .. ':queue:' .. queue, job.id)
  job.state, job.origin, released[job.id], n_released = 'queued', queue, job, n_released + 1
end

local function stop_running(job)
  local execution = job.id .. ':' .. job.token
  call('ZREM', RQ .. ':wip:' .. job.origin, execution)
  call('DEL', RQ .. ':execution:' .. execution, RQ .. ':executions:' .. job.id)
  call('SREM', RQ .. ':worker:' .. job.worker .. ':executions', execution)
  call('SREM', agent_key(job.agent) .. ':held', job.id)
end

local function forget_prepared(g, job)
  if job.kind == 'prepare' and call('HGET', g.key, 'prepared:' .. job.path) == job.agent then
    call('HDEL', g.key, 'prepared:' .. job.path)
  end
end

-- Takes a running task from its worker; it is queued, and on no queue yet.
local function detach(g, job, token)
  stop_running(job)
  forget_prepared(g, job)
  call('HSET', job.key, 'rw_token', token, 'rw_agent', '', 'rw_worker', '', 'rw_started', '',
    'started_at', '', 'worker_name', '')
end

-- A running task goes back on the queue that anyone takes from: an adopter's own may have no taker.
local function requeue(g, job, front, token)
  detach(g, job, token)
  enqueue(job, job.queue, front)
end

-- A failed attempt is tried again after a pause that doubles each time, half of it by chance, so
-- that what failed together doesn't come back together. RQ's registry of scheduled jobs keeps it
-- until the sweep releases it. The token (random, and a number) is the dice: a script has no others.
local function retry_later(g, job, token)
  local seed = tonumber(string.sub(job.token, 9, 14), 16) or tonumber(CLOCK[2])
  seed = seed + 40503 * tonumber(string.match(job.token, '%-(%d+)$') or 0)
  local chance = seed % 65536 / 65536
  local pause = math.min(30000, 500 * 2 ^ math.min(job.attempt - 1, 16)) * (1 - chance / 2)
  detach(g, job, token)
  call('HSET', job.key, 'rw_state', 'queued', 'rw_queued', NOW_MS, 'status', 'scheduled',
    'origin', job.queue)
  call('ZADD', RQ .. ':scheduled:' .. job.queue, string.format('%.3f', (NOW + pause) / 1000), job.id)
  job.state, job.origin = 'queued', job.queue
end

local MIRROR = { succeeded = 'finished', failed = 'failed', cancelled = 'canceled',
  skipped = 'canceled' }

local function register_ended(job)
  local status = MIRROR[job.state]
  -- Capped, so that an entry which RQ makes itself (a year ahead) is told from ours.
  call('ZADD', RQ .. ':' .. status .. ':' .. job.origin,
    string.format('%.0f', NOW / 1000 + math.min(job.ttl, 30 * DAY_S)), job.id)
end

-- Puts the mirror right again where RQ's own tools have written into it.
local function mirror_ended(job)
  call('HSET', job.key, 'status', MIRROR[job.state])
  register_ended(job)
end

local function end_task(g, job, state, reason, token)
  if job.state == 'running' then
    stop_running(job)
  elseif job.state == 'waiting' and job.kind ~= 'join' then
    call('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  end
  job.state = state
  call('HSET', job.key, 'rw_state', state, 'rw_ended', NOW_MS, 'rw_token', token or '',
    'rw_reason', reason or '', 'ended_at', rq_date(), 'status', MIRROR[state])
  if job.kind ~= 'join' then register_ended(job) end
  if job.counted then g.left = g.left - 1 end
  if job.repair then
    call('HDEL', g.key .. ':repairs', job.id)
    call('EXPIRE', job.key, DAY_S)
  end
  if state ~= 'succeeded' then forget_prepared(g, job) end
  task_event(g, 'task.' .. state, job, reason)
end

local function has_prepares(g)
  if g.has_prepares == nil then g.has_prepares = call('HGET', g.key, 'prepares') ~= '' end
  return g.has_prepares
end

-- Only a deploy is drawn to the agent that prepared its path; once it is released without one, a
-- prepare that comes later is of no use (`begun`).
local function release(g, job)
  local queue = job.queue
  call('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  if job.kind == 'deploy' and has_prepares(g) then
    local agent = call('HGET', g.key, 'prepared:' .. job.path)
    if agent and is_agent(agent) then
      queue = agent_queue(agent)
      call('SADD', RQ .. ':queues', RQ .. ':queue:' .. queue)
    else
      call('HSET', g.key, 'begun:' .. job.path, 1)
    end
  end
  enqueue(job, queue, false)
end

-- Takes a succeeded task out of the barrier of each dependant; joins that open go on by themselves.
local function release_after(g, next)
  local work = { next }
  while #work > 0 do
    for index in string.gmatch(table.remove(work), '%d+') do
      local id = g.jobs .. index
      if call('HINCRBY', job_key(id), 'rw_wait', -1) == 0 then
        local job = load_job(id)
        if job and job.state == 'waiting' and job.kind == 'join' then
          end_task(g, job, 'succeeded')
          work[#work + 1] = job.next
        elseif job and job.state == 'waiting' then
          release(g, job)
        end
      end
    end
  end
end

local function skip_after(g, next, reason)
  local work = { next }
  while #work > 0 do
    for index in string.gmatch(table.remove(work), '%d+') do
      local job = load_job(g.jobs .. index)
      if job and job.state == 'waiting' then
        end_task(g, job, 'skipped', reason)
        work[#work + 1] = job.next
      end
    end
  end
end

-- The failure as RQ's tools show it. A stream costs 4 KB, so a success writes none.
local function record_failure(job, error, exc)
  call('HSET', job.key, 'rw_error', error)
  local key = RQ .. ':results:' .. job.id
  call('XADD', key, 'MAXLEN', '10', '*', 'type', '2', 'worker_name', job.worker, 'exc_string', exc,
    'execution_id', job.token, 'execution_started_at',
    string.format('%.3f', tonumber(job.started or NOW) / 1000), 'execution_ended_at', NOW_S)
  call('EXPIRE', key, math.ceil(job.ttl))
end

local function fail_task(g, job, reason, token)
  end_task(g, job, 'failed', reason, token)
  if not job.counted then return end
  g.failed = g.failed + 1
  call('HSETNX', g.key, 'first_failed', job.task)
  skip_after(g, job.next, job.task .. ' failed')
end

local function lose_task(g, job, error, exc)
  local losses = call('HINCRBY', job.key, 'rw_losses', 1)
  if losses >= 3 then
    record_failure(job, error, exc)
    fail_task(g, job, 'its worker was lost ' .. losses .. ' times')
    return false
  end
  task_event(g, 'task.lost', job, 'worker ' .. job.worker .. ' was lost')
  requeue(g, job, true, '')
  return true
end
