-- How a task moves: onto its queue, to its end, and what its end does to those that wait for it.
-- Changes of a generation's counters are gathered in it and written by `commit` (generations.lua).
-- Cascades are loops over a list of work, so that depth is no limit.

local released, n_released = {}, 0

-- What many tasks of one script change in the same set is written by `flush`, in one command each:
-- before anything reads it, and before `commit` begins and ends.
local gathered, pushes = {}, {}

local function gather(command, key, first, second)
  local name = command .. key
  local list = gathered[name]
  if not list then
    list = { command, key }
    gathered[name], gathered[#gathered + 1] = list, list
  end
  list[#list + 1] = first
  list[#list + 1] = second
end

local function write_queued(job)
  call('HSET', job.key, 'rw', record(job), 'status', 'queued', 'enqueued_at', rq_date(),
    'origin', job.origin)
  job.is_pending = false
end

local function flush()
  for _, list in ipairs(pushes) do
    for i = 2, #list, 1000 do
      call('RPUSH', list[1], unpack(list, i, math.min(i + 999, #list)))
    end
  end
  for _, job in pairs(released) do
    if job.is_pending then write_queued(job) end
  end
  for _, list in ipairs(gathered) do
    for i = 3, #list, 1000 do
      call(list[1], list[2], unpack(list, i, math.min(i + 999, #list)))
    end
  end
  if #pushes > 0 then pushes = {} end
  if #gathered > 0 then gathered = {} end
end

-- At the end of a queue a job may be claimed by this very script before anything of it is written.
local function enqueue(job, queue, front)
  job.state, job.origin, job.since, job.is_pending = 'queued', queue, NOW_MS, not front
  local key = RQ .. ':queue:' .. queue
  -- On an agent's own queue it has to say which queue it came from.
  if queue ~= job.queue then call('HSET', job.key, 'rw_more', more(job)) end
  if front then
    write_queued(job)
    call('LPUSH', key, job.id)
  else
    local list = pushes[key]
    if not list then
      list = { key }
      pushes[key], pushes[#pushes + 1] = list, list
    end
    list[#list + 1] = job.id
  end
  if not released[job.id] then n_released = n_released + 1 end
  released[job.id] = job
end

local function stop_running(job)
  local execution = job.id .. ':' .. job.token
  gather('ZREM', RQ .. ':wip:' .. job.origin, execution)
  gather('SREM', agent_key(job.agent) .. ':held', job.id)
  if job.is_shown then
    call('DEL', RQ .. ':execution:' .. execution, RQ .. ':executions:' .. job.id)
    gather('SREM', RQ .. ':worker:' .. job.worker .. ':executions', execution)
  end
end

local function forget_prepared(g, job)
  if job.kind == 'prepare' and call('HGET', g.key, 'prepared:' .. job.path) == job.agent then
    call('HDEL', g.key, 'prepared:' .. job.path)
  end
end

-- Takes a running task from its worker; it is on no queue yet.
local function detach(g, job, token)
  stop_running(job)
  forget_prepared(g, job)
  job.token, job.agent, job.worker = token, '', ''
  call('HSET', job.key, 'started_at', '', 'worker_name', '')
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
  job.state, job.origin, job.since, job.retried = 'queued', job.queue, NOW_MS, job.retried + 1
  call('HSET', job.key, 'rw', record(job), 'status', 'scheduled', 'enqueued_at', rq_date(),
    'origin', job.queue)
  call('ZADD', RQ .. ':scheduled:' .. job.queue, string.format('%.3f', (NOW + pause) / 1000), job.id)
end

-- What was asked for the whole generation, and whether it has begun: read once a script.
local function options(g)
  if not g.options then
    local v = call('HMGET', g.key, 'history', 'retries', 'prepares', 'state')
    g.options = { history = tonumber(v[1] or 7 * DAY_S), retries = tonumber(v[2] or 0),
      has_prepares = v[3] and v[3] ~= '', is_pending = v[4] == 'pending' }
  end
  return g.options
end

local MIRROR = { succeeded = 'finished', failed = 'failed', cancelled = 'canceled',
  skipped = 'canceled' }

local function register_ended(g, job)
  -- Capped, so that an entry which RQ makes itself (a year ahead) is told from ours.
  local o = options(g)
  o.ends = o.ends or string.format('%.0f', NOW / 1000 + math.min(o.history, 30 * DAY_S))
  gather('ZADD', RQ .. ':' .. MIRROR[job.state] .. ':' .. job.origin, o.ends, job.id)
end

-- Puts the mirror right again where RQ's own tools have written into it.
local function mirror_ended(job)
  call('HSET', job.key, 'status', MIRROR[job.state])
  register_ended(of_job(job), job)
end

local function end_task(g, job, state, reason, token)
  local is_join = job.kind == 'join'
  if job.state == 'running' then
    stop_running(job)
  elseif job.state == 'waiting' and not is_join then
    gather('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  end
  job.state, job.token, job.is_pending = state, token or '', false
  if is_join then
    call('HSET', job.key, 'rw', record(job), 'ended_at', rq_date())
  else
    call('HSET', job.key, 'rw', record(job), 'status', MIRROR[state], 'ended_at', rq_date())
    register_ended(g, job)
  end
  if reason then call('HSET', job.key, 'rw_reason', reason) end
  if job.counted then g.left = g.left - 1 end
  if job.repair then
    call('HDEL', g.key .. ':repairs', job.id)
    call('EXPIRE', job.key, DAY_S)
  end
  if state ~= 'succeeded' then forget_prepared(g, job) end
  task_event(g, 'task.' .. state, job, reason)
end

-- Only a deploy is drawn to the agent that prepared its path; once it is released without one, a
-- prepare that comes later is of no use (`begun`).
local function release(g, job)
  local queue = job.queue
  gather('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  if job.kind == 'deploy' and options(g).has_prepares then
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

-- Takes succeeded tasks (their `next`) out of the barrier of each dependant, which is one command
-- for all that stand before it; joins that open go on by themselves.
local function release_after(g, ended)
  while #ended > 0 do
    local counts, order, opened = {}, {}, {}
    for _, next in ipairs(ended) do
      for index in string.gmatch(next, '%d+') do
        if not counts[index] then order[#order + 1] = index end
        counts[index] = (counts[index] or 0) + 1
      end
    end
    for _, index in ipairs(order) do
      local id = g.jobs .. index
      if call('HINCRBY', job_key(id), 'rw_wait', -counts[index]) == 0 then
        local job = load_job(id)
        if job and job.state == 'waiting' and job.kind == 'join' then
          end_task(g, job, 'succeeded')
          opened[#opened + 1] = job.next
        elseif job and job.state == 'waiting' then
          release(g, job)
        end
      end
    end
    ended = opened
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

-- The time (ms) of a date that `rq_date` or RQ wrote, or ''.
local function ms_of(date)
  local year, month, day, hour, minute, second = string.match(date or '',
    '^(%d+)%-(%d+)%-(%d+)T(%d+):(%d+):([%d.]+)Z$')
  if not year then return '' end
  local m = (month + 9) % 12
  local y = tonumber(year) - (tonumber(month) <= 2 and 1 or 0)
  local days = 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
    + math.floor((153 * m + 2) / 5) + day - 719469
  return string.format('%.0f', days * DAY_MS + hour * 3600000 + minute * 60000 + second * 1000)
end

-- The failure as RQ's tools show it. A stream costs 4 KB, so a success writes none.
local function record_failure(g, job, error, exc)
  local started = ms_of(call('HGET', job.key, 'started_at'))
  call('HSET', job.key, 'rw_error', error)
  local key = RQ .. ':results:' .. job.id
  call('XADD', key, 'MAXLEN', '10', '*', 'type', '2', 'worker_name', job.worker, 'exc_string', exc,
    'execution_id', job.token, 'execution_started_at',
    started == '' and NOW_S or string.format('%.3f', started / 1000), 'execution_ended_at', NOW_S)
  call('EXPIRE', key, math.ceil(options(g).history))
end

local function fail_task(g, job, reason, token)
  end_task(g, job, 'failed', reason, token)
  if not job.counted then return end
  g.failed = g.failed + 1
  call('HSETNX', g.key, 'first_failed', job.task)
  skip_after(g, job.next, job.task .. ' failed')
end

local function lose_task(g, job, error, exc)
  job.losses = job.losses + 1
  if job.losses >= 3 then
    record_failure(g, job, error, exc)
    fail_task(g, job, 'its worker was lost ' .. job.losses .. ' times')
    return false
  end
  task_event(g, 'task.lost', job, 'worker ' .. job.worker .. ' was lost')
  requeue(g, job, true, '')
  return true
end
