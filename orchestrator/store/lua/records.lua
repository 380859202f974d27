-- What all scripts share: how events are written, and how a task's record is read. `tasks.lua` and
-- what it needs follow where a script changes tasks or replicas.

local generations, now_date = {}, nil

-- Now as RQ writes it; made when the first needs it.
local function rq_date()
  if now_date then return now_date end
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
  now_date = string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(ms / 3600000), math.floor(ms / 60000) % 60, math.floor(ms / 1000) % 60, ms % 1000)
  return now_date
end

local function job_key(id) return RQ .. ':job:' .. id end
local function agent_key(id) return P .. ':agent:' .. id end
-- The protocol's version is rq_compat.py's; a test holds them together.
local function agent_queue(id) return P .. '-v2-at-' .. id end
local function is_agent(id) return id ~= '' and call('ZSCORE', P .. ':agents', id) and true end

-- How an agent stands whose name may be `worker`: 1 registered, 0 gone for good. One that this store
-- has no trace of (-1) had joined before its data were lost: what it holds is still its own.
local function standing(id, worker)
  if worker then return 1 end
  return call('HEXISTS', agent_key(id), 'gone') == 1 and 0 or -1
end

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
    'event', name, 'gen', g.n, ...)
end

-- Who a job belongs to stands in its id, unless RQ doesn't allow the name in one.
local function place_of(id) return string.match(id, '^(.+)%-(%d+)%-([^%-]+)$', #P + 2) end

local STATES = { w = 'waiting', q = 'queued', r = 'running', R = 'running', s = 'succeeded',
  f = 'failed', c = 'cancelled', k = 'skipped' }

local jobs_of = {}

-- The generation of the jobs whose ids begin with `jobs`.
local function generation_of(jobs, id, hidden)
  local name, n = place_of(id)
  local g = generation(hidden ~= '' and hidden or name, n)
  g.jobs = g.jobs or jobs
  jobs_of[jobs] = g
  return g
end

-- Who only ends a job has no use for its data.
local function load_job(id, is_over)
  local key = job_key(id)
  local v = call('HMGET', key, 'rw', 'description', 'rw_tail', 'origin', 'worker_name', 'rw_next',
    'rw_more', is_over and 'rw' or 'data')
  if not v[1] then return nil end
  local letter, attempt, losses, retried, token, rest =
    string.match(v[1], '^(%a) (%d+) (%d+) (%d+) (%S*) (.*)$')
  local state, queue, hidden, repair, timeout = STATES[letter], '', '', '', nil
  local steps
  if v[7] then
    queue, hidden, repair, timeout, steps = string.match(v[7], '^(.-)\n(.-)\n(.-)\n([^\n]*)\n?(.*)$')
  end
  local jobs, number = string.match(id, '^(.*%-)(.*)$')
  local kind = string.match(v[2], '^[^:]*')
  return { id = id, key = key, g = jobs_of[jobs] or generation_of(jobs, id, hidden),
    number = number, kind = kind, head = v[2], tail = v[3] or '', data = v[8] or '',
    state = state, is_shown = letter == 'R', attempt = attempt, losses = losses,
    retried = retried, token = token, agent = state == 'running' and rest or '',
    since = state == 'running' and '' or rest, worker = v[5] or '', next = v[6] or '',
    origin = v[4] or '', queue = queue ~= '' and queue or v[4] or '',
    repair = repair ~= '', is_shard = repair == 's', timeout = timeout, steps = steps,
    -- Neither prepares nor jobs outside the plan are waited for, so they aren't counted.
    counted = kind ~= 'prepare' and repair == '' }
end

local function task_of(job) return job.head .. job.tail end

-- A join has none.
local function path_of(job)
  return job.kind == 'join' and '' or string.sub(task_of(job), #job.kind + 2)
end

-- The two events of every task name it by its number, as its record names it whole.
local function task_event(g, name, job, reason)
  if job.kind == 'join' then return end
  -- A repair runs under the name of a task that is long done; its replica's events tell of it. Of a
  -- shard its evaluation tells, but for a loss.
  if job.repair and name ~= (job.is_shard and 'task.lost' or 'task.failed') then return end
  reason = reason or job.note
  if reason or job.repair then
    event(g, name, 'task', task_of(job), 'worker', job.worker, 'attempt', job.attempt,
      'reason', reason or '')
  else
    event(g, name, 'i', job.number, 'worker', job.worker, 'attempt', job.attempt)
  end
end

-- What `rw` and `rw_more` of a job are to be.
local function record(job)
  local letter = job.state == 'skipped' and 'k' or string.sub(job.state, 1, 1)
  return letter .. ' ' .. job.attempt .. ' ' .. job.losses .. ' ' .. job.retried .. ' ' .. job.token
    .. ' ' .. (letter == 'r' and job.agent or letter == 'q' and job.since or '')
end

local function more(job)
  return job.queue .. '\n' .. (job.name or job.g.name) .. '\n' .. (job.is_shard and 's' or job.repair and '1' or '') .. '\n'
    .. (job.timeout or '') .. '\n' .. (job.steps or '')
end
