-- What all scripts share. It is put in front of each of them, so one step of Redis runs both.
--
-- Keys (P is our prefix, RQ is RQ's; NAME and GEN in braces and after as written):
--   P:store              string  random id of this store
--   P:deployments        zset    NAME -> time of its newest generation
--   P:active             set     NAME@GEN that progress, serve or stop
--   P:agents             zset    agent id -> end of its lease; P:owners likewise for programs
--   P:agent:ID           hash    worker, info, last request and its claims; `gone` when it is
--   P:agent:ID:held      set     job ids and NAME@GEN/REPLICA under the agent's lease
--   P:agent:ID:inbox     stream  commands (JSON in `c`)
--   P:controller         string  who leads, with time to live
--   P:sweep              hash    last (sweep), tidied
--   P:bell               stream  an entry when tasks were released
--   P:changes            stream  op put, drop or current; name gen path replica record
--   P:{NAME}             hash    reserved latest current progressing live created
--   P:{NAME}:events      stream  the history (events.py has the table)
--   P:{NAME}:GEN         hash    state reason created ended kinds total left failed short jobs
--                                retries deadline owner history makes_current retire first_failed
--                                prepares prepared:PATH begun:PATH
--   P:{NAME}:GEN:plan tree (strings) states (list) logs (stream)
--                replicas (hash id -> "STATE AGENT PATH\n" + record) services ready (hash path -> n)
--                repairs (hash job id -> path)
--   RQ:job:ID            hash    RQ's fields, and rw_state rw_name rw_gen rw_task rw_kind rw_path
--                                rw_wait rw_next rw_token rw_attempt rw_losses rw_retries rw_agent
--                                rw_worker rw_queue rw_queued rw_started rw_ended rw_error rw_reason
--                                rw_logseq rw_ttl rw_repair rw_timeout
--   RQ:queue:Q wip:Q finished:Q failed:Q deferred:Q canceled:Q execution:.. executions:.. results:..
--                        RQ's own: a mirror for its tools, from which nothing is decided
--
-- Redis doesn't roll back: a script reads and checks first, and writes only what can't fail.
-- `left` counts the tasks that aren't final and `short` the services with too few ready replicas;
-- changes of them are gathered and written once, by `commit`, which ends each script that changes
-- tasks or replicas and moves the generation to its next state.

local P, RQ = ARGV[1], ARGV[2]
local call = redis.call
local CLOCK = call('TIME')
local NOW = CLOCK[1] * 1000 + math.floor(CLOCK[2] / 1000)
local NOW_MS = string.format('%.0f', NOW)
local NOW_S = string.format('%.3f', NOW / 1000)
local DAY_S, DAY_MS = 86400, 86400000
local generations, released, n_released = {}, {}, 0

local function rq_date()
  -- Days to year, month, day: the algorithm of Howard Hinnant's date library, era of 400 years.
  local z = math.floor(NOW / DAY_MS) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local ms = NOW % DAY_MS
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03d000Z', year, month, day,
    math.floor(ms / 3600000), math.floor(ms / 60000) % 60, math.floor(ms / 1000) % 60, ms % 1000)
end
local DATE = rq_date()

local function job_key(id) return RQ .. ':job:' .. id end
local function agent_key(id) return P .. ':agent:' .. id end
-- The protocol's version is queue.py's; a test holds them together.
local function agent_queue(id) return P .. '-v1-at-' .. id end
local function is_agent(id) return id ~= '' and call('ZSCORE', P .. ':agents', id) and true end

local function generation(name, n)
  local id = name .. '@' .. n
  local g = generations[id]
  if not g then
    local name_key = P .. ':{' .. name .. '}'
    g = { id = id, name = name, n = n, name_key = name_key, key = name_key .. ':' .. n,
      left = 0, failed = 0, check = false }
    generations[id] = g
  end
  return g
end

-- The generation of an argument pair, or nil when it isn't stored.
local function stored(name, n)
  local g = generation(name, n)
  g.jobs = call('HGET', g.key, 'jobs')
  return g.jobs and g or nil
end

local function event(g, name, ...)
  call('XADD', g.name_key .. ':events', 'MAXLEN', '~', '50000', '*',
    'event', name, 'gen', g.n, 'at', NOW_S, ...)
end

local function task_event(g, name, job, reason)
  if job.kind == 'join' then return end
  event(g, name, 'task', job.task, 'path', job.path, 'kind', job.kind, 'state', job.state,
    'worker', job.worker, 'attempt', job.attempt, 'reason', reason or '')
end

local function changed(op, g, ...)
  call('XADD', P .. ':changes', 'MAXLEN', '~', '10000', '*', 'op', op, 'name', g.name, 'gen', g.n, ...)
end

local function command(agent, message)
  call('XADD', agent_key(agent) .. ':inbox', 'MAXLEN', '~', '1000', '*', 'c', cjson.encode(message))
end

local function load_job(id)
  local key = job_key(id)
  local v = call('HMGET', key, 'rw_state', 'rw_name', 'rw_gen', 'rw_task', 'rw_kind', 'rw_path',
    'rw_token', 'rw_agent', 'rw_worker', 'rw_attempt', 'rw_next', 'rw_retries', 'rw_losses',
    'origin', 'rw_queue', 'rw_ttl', 'rw_repair', 'rw_wait', 'rw_started')
  if not v[1] then return nil end
  local job = { id = id, key = key, state = v[1], name = v[2], gen = v[3], task = v[4], kind = v[5],
    path = v[6], token = v[7] or '', agent = v[8] or '', worker = v[9] or '',
    attempt = tonumber(v[10] or 0), next = v[11] or '', retries = tonumber(v[12] or 0),
    losses = tonumber(v[13] or 0), origin = v[14] or '', queue = v[15] or '',
    ttl = tonumber(v[16]), repair = v[17] and true, wait = tonumber(v[18] or 0), started = v[19] }
  -- Neither prepares nor repairs are waited for, so they aren't counted.
  job.counted = job.kind ~= 'prepare' and not job.repair
  return job
end

local function of_job(job)
  local g = generation(job.name, job.gen)
  g.jobs = g.jobs or string.match(job.id, '^(.*%-)[^-]*$')
  return g
end

local function enqueue(job, queue, front)
  call('HSET', job.key, 'rw_state', 'queued', 'rw_queued', NOW_MS, 'status', 'queued',
    'enqueued_at', DATE, 'origin', queue)
  call(front and 'LPUSH' or 'RPUSH', RQ .. ':queue:' .. queue, job.id)
  job.state, job.origin, released[job.id], n_released = 'queued', queue, true, n_released + 1
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

-- A running task goes back on the queue that anyone takes from: an adopter's own may have no taker.
local function requeue(g, job, front, token)
  stop_running(job)
  forget_prepared(g, job)
  call('HSET', job.key, 'rw_token', token, 'rw_agent', '', 'rw_worker', '', 'rw_started', '',
    'started_at', '', 'worker_name', '')
  enqueue(job, job.queue, front)
end

local MIRROR = { succeeded = 'finished', failed = 'failed', cancelled = 'canceled',
  skipped = 'canceled' }

local function mirror_ended(job)
  local status = MIRROR[job.state]
  call('HSET', job.key, 'status', status)
  -- Capped, so that an entry which RQ makes itself (a year ahead) is told from ours.
  call('ZADD', RQ .. ':' .. status .. ':' .. job.origin,
    string.format('%.0f', NOW / 1000 + math.min(job.ttl, 30 * DAY_S)), job.id)
end

local function end_task(g, job, state, reason, token)
  if job.state == 'running' then
    stop_running(job)
  elseif job.state == 'waiting' and job.kind ~= 'join' then
    call('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  end
  job.state = state
  call('HSET', job.key, 'rw_state', state, 'rw_ended', NOW_MS, 'rw_token', token or '',
    'rw_reason', reason or '', 'ended_at', DATE)
  if job.kind ~= 'join' then mirror_ended(job) end
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
  call('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  if job.kind == 'deploy' and call('HGET', g.key, 'prepares') ~= '' then
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

local function change_state(g, state, reason, final)
  call('HSET', g.key, 'state', state, 'reason', reason or '', 'ended', final and NOW_MS or '')
  event(g, (state == 'progressing') and state or 'deployment.' .. state, 'state', state,
    'reason', reason or '')
end

local function each_task(g, visit)
  for i = 0, tonumber(call('HGET', g.key, 'total') or 0) - 1 do
    local job = load_job(g.jobs .. i)
    if job then visit(job, i) end
  end
end

local PARTS = { '', ':plan', ':tree', ':states', ':logs', ':replicas', ':services', ':ready',
  ':repairs' }

-- Nothing of the generation runs any more: it is history, and goes when its time has come.
local function end_generation(g)
  local ttl = call('HGET', g.key, 'history')
  for _, part in ipairs(PARTS) do call('EXPIRE', g.key .. part, ttl) end
  each_task(g, function(job) call('EXPIRE', job.key, ttl) end)
  if call('SREM', P .. ':active', g.id) == 1
    and call('HINCRBY', g.name_key, 'live', -1) <= 0 then
    call('EXPIRE', g.name_key, ttl)
    call('EXPIRE', g.name_key .. ':events', ttl)
  end
end

local function cancel_task(g, job, reason)
  if job.state ~= 'waiting' and job.state ~= 'queued' and job.state ~= 'running' then return end
  local agent, state = job.agent, job.state
  end_task(g, job, 'cancelled', reason)
  if state == 'running' and is_agent(agent) then
    command(agent, { op = 'cancel_job', job = job.id, reason = reason })
  elseif state == 'queued' and (g.removed or 0) < 100 then
    -- A long queue isn't searched for each of many: what is left there is dropped when it is taken.
    g.removed = (g.removed or 0) + 1
    call('LREM', RQ .. ':queue:' .. job.origin, 1, job.id)
  end
end

local function cancel_rest(g, reason)
  each_task(g, function(job) cancel_task(g, job, reason) end)
  for _, id in ipairs(call('HKEYS', g.key .. ':repairs')) do
    local job = load_job(id)
    if job then cancel_task(g, job, reason) end
  end
end

local function fail_generation(g, reason)
  local current = call('HGET', g.name_key, 'current')
  if current and current ~= g.n then call('HSET', g.key, 'retire', 1) end
  change_state(g, 'failed', reason, true)
  cancel_rest(g, 'the deployment has failed')
  g.check = true
end

local function cancel_generation(g, reason)
  call('HSET', g.key, 'retire', 1)
  change_state(g, 'cancelled', reason, true)
  cancel_rest(g, reason)
  g.check = true
end

local function stop_generation(g, reason)
  local state = call('HGET', g.key, 'state')
  local over = state == 'failed' or state == 'cancelled'
  if state == 'stopping' or state == 'stopped'
    or (over and call('HLEN', g.key .. ':replicas') == 0) then
    return false
  end
  change_state(g, 'stopping', reason)
  cancel_rest(g, reason)
  g.check = true
  return true
end

local function become_ready(g, makes_current)
  change_state(g, 'ready', nil, call('HLEN', g.key .. ':services') == 0)
  for index in string.gmatch(call('HGET', g.key, 'prepares'), '%d+') do
    local job = load_job(g.jobs .. index)
    if job then cancel_task(g, job, 'all is deployed without it') end
  end
  local current = call('HGET', g.name_key, 'current')
  if makes_current ~= '1' or current == g.n then return end
  call('HSET', g.name_key, 'current', g.n)
  changed('current', g)
  local old = current and stored(g.name, current)
  if old then stop_generation(old, 'replaced by ' .. g.id) end
end

local function settle(g)
  local v = call('HMGET', g.key, 'state', 'left', 'failed', 'short', 'first_failed', 'makes_current')
  local state, left, failed, short = v[1], tonumber(v[2]), tonumber(v[3]), tonumber(v[4])
  g.jobs = g.jobs or call('HGET', g.key, 'jobs')
  if (state == 'pending' or state == 'progressing') and left <= 0 then
    if failed > 0 then
      local more = failed > 1 and ' and ' .. (failed - 1) .. ' more' or ''
      return fail_generation(g, (v[5] or 'a task') .. ' failed' .. more)
    elseif short <= 0 then
      become_ready(g, v[6])
      state = 'ready'
    end
  elseif state == 'degraded' and short <= 0 then
    change_state(g, 'ready')
  elseif state == 'ready' and short > 0 then
    change_state(g, 'degraded', short .. ' services have too few ready replicas')
  end
  local bare = call('HLEN', g.key .. ':replicas') == 0
  if state == 'stopping' and bare then
    change_state(g, 'stopped', nil, true)
    if call('HGET', g.name_key, 'current') == g.n then call('HDEL', g.name_key, 'current') end
    state = 'stopped'
  end
  local ended = state == 'failed' or state == 'cancelled' or state == 'stopped'
    or (state == 'ready' and call('HLEN', g.key .. ':services') == 0)
  if ended and bare then end_generation(g) end
end

-- Writes the gathered counts and moves generations on; settling one may touch others (a new
-- generation stops the old), so this goes on until nothing is left.
local function commit()
  local again = true
  while again do
    again = false
    local ids = {}
    for id in pairs(generations) do ids[#ids + 1] = id end
    table.sort(ids)
    for _, id in ipairs(ids) do
      local g = generations[id]
      if g.failed ~= 0 then call('HINCRBY', g.key, 'failed', g.failed) end
      local ended = g.left ~= 0 and call('HINCRBY', g.key, 'left', g.left) <= 0
      local due = ended or g.check
      g.failed, g.left, g.check = 0, 0, false
      if due then
        settle(g)
        again = true
      end
    end
  end
  if n_released > 0 then call('XADD', P .. ':bell', 'MAXLEN', '~', '1000', '*', 'n', n_released) end
end
