-- How a task leaves its worker without success: tried again, failed, or lost with its worker, and
-- what that does to those that wait for it.

function rare.forget_prepared(g, job)
  local field = 'prepared:' .. path_of(job)
  if call('HGET', g.key, field) == job.agent then call('HDEL', g.key, field) end
end

-- Takes a running task from its worker; it is on no queue yet.
local function detach(g, job, token)
  stop_running(job)
  if job.kind == 'prepare' then rare.forget_prepared(g, job) end
  job.token, job.agent, job.worker = token, '', ''
  call('HSET', job.key, 'started_at', '', 'worker_name', '')
end

-- The agent at which a training finds its workspace again, if that lies there: the next attempt is
-- left to it for some seconds (sweep.lua). What needs resources goes where they are counted.
local function home_of(job)
  local is_plain = job.queue .. '-at-' == agent_queue('')
  return is_plain and job.kind == 'train' and call('HGET', agent_key(job.agent), 'keeps') == '1'
    and job.agent or ''
end

function rare.queue_at(job, home)
  if not home or home == '' or call('HGET', agent_key(home), 'state') ~= 'running' then
    return job.queue
  end
  call('SADD', RQ .. ':queues', RQ .. ':queue:' .. agent_queue(home))
  return agent_queue(home)
end

-- A running task goes back on the queue that anyone takes from: an adopter's own may have no taker.
function rare.requeue(g, job, front, token)
  detach(g, job, token)
  enqueue(job, job.queue, front)
end

-- A running task goes back and counts neither as an attempt nor as a loss.
function rare.give_back(g, job, token, is_leaving)
  if is_leaving then task_event(g, 'task.returned', job, job.worker .. ' is leaving') end
  job.attempt = job.attempt - 1
  rare.requeue(g, job, true, token)
end

-- A failed attempt is tried again after a pause that doubles each time, half of it by chance, so
-- that what failed together doesn't come back together. RQ's registry of scheduled jobs keeps it
-- until the sweep releases it. The token (random, and a number) is the dice: a script has no others.
function rare.retry_later(g, job, token)
  local seed = tonumber(string.sub(job.token, 9, 14), 16) or tonumber(CLOCK[2])
  seed = seed + 40503 * tonumber(string.match(job.token, '%-(%d+)$') or 0)
  local chance = seed % 65536 / 65536
  local pause = math.min(30000, 500 * 2 ^ math.min(job.attempt - 1, 16)) * (1 - chance / 2)
  local home = home_of(job)
  detach(g, job, token)
  job.state, job.origin, job.since, job.retried = 'queued', job.queue, NOW_MS, job.retried + 1
  call('HSET', job.key, 'rw', record(job), 'status', 'scheduled', 'enqueued_at', rq_date(),
    'origin', job.queue, 'rw_home', home)
  call('ZADD', RQ .. ':scheduled:' .. job.queue, string.format('%.3f', (NOW + pause) / 1000), job.id)
end

-- Puts the mirror right again where RQ's own tools have written into it.
function rare.mirror_ended(job)
  call('HSET', job.key, 'status', MIRROR[job.state])
  register_ended(job)
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
function rare.ms_of(date)
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
function rare.record_failure(g, job, error, exc)
  local started = rare.ms_of(call('HGET', job.key, 'started_at'))
  call('HSET', job.key, 'rw_error', error)
  local key = RQ .. ':results:' .. job.id
  call('XADD', key, 'MAXLEN', '10', '*', 'type', '2', 'worker_name', job.worker, 'exc_string', exc,
    'execution_id', job.token, 'execution_started_at',
    started == '' and NOW_S or string.format('%.3f', started / 1000), 'execution_ended_at', NOW_S)
  call('EXPIRE', key, math.ceil(options(g).history))
end

function rare.fail_task(g, job, reason, token)
  end_task(g, job, 'failed', reason, token)
  if not job.counted then return end
  g.failed = g.failed + 1
  call('HSETNX', g.key, 'first_failed', task_of(job))
  skip_after(g, job.next, task_of(job) .. ' failed')
end

local function shard_name(job)
  local start, stop = string.match(job.number, '^s%d+x(%d+)x(%d+)')
  return string.format('items %d to %d', start, stop - 1)
end

-- The one place where losses are counted, of a task's worker or of its process (`how` says of which).
-- The third fails it for good, whatever is left of its retries, which are for exceptions only.
function rare.lose_task(g, job, how, error, exc, agent_lives)
  job.losses = job.losses + 1
  if job.losses >= 3 then
    rare.record_failure(g, job, error, exc)
    rare.fail_task(g, job, 'it was lost ' .. job.losses .. ' times, the last time as ' .. how)
    return false
  end
  task_event(g, 'task.lost', job, job.is_shard and shard_name(job) .. ': ' .. how or how)
  local home = agent_lives and home_of(job)
  detach(g, job, '')
  enqueue(job, rare.queue_at(job, home), true)
  return true
end
