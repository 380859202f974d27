-- How a task moves: onto its queue, to its end, and what its success does to those that wait for it.
-- Changes of a generation's counters are gathered in it and written by `commit`, which ends every
-- script that changes tasks or replicas. Cascades are loops over a list of work, so that depth is no
-- limit.

-- What few steps need (failures.lua, generations.lua, ...) is made when the first asks for it: to
-- make a function costs nearly as much as a command, and most steps need none of these.
local make_rare
local rare = setmetatable({}, { __index = function(self, name)
  setmetatable(self, nil)
  make_rare()
  return self[name]
end })

-- Stores what an attempt printed: fd and text in turn from `first` on. In place of a descriptor, 0
-- is for the task's progress, of which only the last is kept.
local function store_output(g, job, output, first)
  for i = first, #output, 2 do
    if output[i] == '0' then
      call('HSET', job.key, 'rw_progress', output[i + 1])
    else
      call('XADD', g.key .. ':logs', 'MAXLEN', '~', '10000', '*', 'path', path_of(job), 'task',
        task_of(job), 'attempt', job.attempt, 'fd', output[i], 'text', output[i + 1])
    end
  end
end

local released, n_released = {}, 0

-- What many tasks of one script change in the same set is written by `flush`, in one command each:
-- before anything reads it, and before `commit` begins and ends.
local gathered, added, removed, pushes = {}, {}, {}, {}

local function gather(command, key, first, second)
  local by_key = (command == 'ZREM' or command == 'SREM') and removed or added
  local list = by_key[key]
  if list then
    list[#list + 1] = first
    list[#list + 1] = second
  else
    list = { command, key, first, second }
    by_key[key], gathered[#gathered + 1] = list, list
  end
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
    if #list <= 1000 then
      call(unpack(list))
    else
      for i = 3, #list, 1000 do
        call(list[1], list[2], unpack(list, i, math.min(i + 999, #list)))
      end
    end
  end
  if #pushes > 0 then pushes = {} end
  if #gathered > 0 then gathered, added, removed = {}, {}, {} end
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

local function register_ended(job)
  -- Capped, so that an entry which RQ makes itself (a year ahead) is told from ours.
  local o = options(job.g)
  o.ends = o.ends or string.format('%d', NOW / 1000 + math.min(o.history, 30 * DAY_S))
  gather('ZADD', RQ .. ':' .. MIRROR[job.state] .. ':' .. job.origin, o.ends, job.id)
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
    register_ended(job)
  end
  if reason then call('HSET', job.key, 'rw_reason', reason) end
  if job.counted then g.left = g.left - 1 end
  if job.is_shard then
    rare.end_shard(g, job)
  elseif job.repair then
    call('HDEL', g.key .. ':repairs', job.id)
    call('EXPIRE', job.key, DAY_S)
  elseif job.kind == 'eval' and call('EXISTS', g.key .. ':shards') == 1 then
    rare.end_evaluation(g, job)
  end
  if state ~= 'succeeded' and job.kind == 'prepare' then rare.forget_prepared(g, job) end
  task_event(g, 'task.' .. state, job, reason)
end

-- Only a deploy is drawn to the agent that prepared its path; once it is released without one, a
-- prepare that comes later is of no use (`begun`).
local function release(g, job)
  local queue = job.queue
  gather('ZREM', RQ .. ':deferred:' .. job.origin, job.id)
  if job.kind == 'deploy' and options(g).has_prepares then
    local path = path_of(job)
    local agent = call('HGET', g.key, 'prepared:' .. path)
    if agent and is_agent(agent) then
      queue = agent_queue(agent)
      call('SADD', RQ .. ':queues', RQ .. ':queue:' .. queue)
    else
      call('HSET', g.key, 'begun:' .. path, 1)
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

-- Writes the gathered counts and moves generations on; settling one may touch others (a new
-- generation stops the old), so this goes on until nothing is left.
local function commit()
  flush()
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
        rare.settle(g)
        flush()
        again = true
      end
    end
  end
  if n_released > 0 then call('XADD', P .. ':bell', 'MAXLEN', '~', '1000', '*', 'n', n_released) end
end
