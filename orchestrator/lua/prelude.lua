-- What all scripts share: the keys, the clock, events, and how a task's record is read. It is put in
-- front of each of them, so one step of Redis runs both. `tasks.lua` and `generations.lua` follow it
-- where a script changes tasks or replicas.
--
-- Keys (P is our prefix, RQ is RQ's; NAME and GEN in braces and after as written):
--   P:store              string  random id of this store
--   P:secret             string  fingerprint of the secret that the workers have
--   P:deployments        zset    NAME -> time of its newest generation
--   P:active             set     NAME@GEN that progress, serve or stop
--   P:agents             zset    agent id -> end of its lease; P:owners likewise for programs
--   P:agent:ID           hash    worker, info, state, last request and its claims; `alone` is the
--                                task that it must run alone; `gone` when it is
--   P:agent:ID:held      set     job ids and NAME@GEN/REPLICA under the agent's lease
--   P:agent:ID:inbox     stream  commands (JSON in `c`)
--   P:controller         string  who leads, with time to live
--   P:sweep              hash    heard (of anyone), swept, checked, tidied, seen:JOB
--   P:dropped:REPLICA    string  with time to live: it doesn't come back
--   P:bell               stream  an entry when tasks were released
--   P:changes            stream  op put, drop, current or stop; name gen path replica record
--   P:{NAME}             hash    reserved latest current progressing live created
--   P:{NAME}:reserved:ID P:{NAME}:GEN:staged:N
--                        strings with time to live, of a submission that isn't sealed yet: its
--                                generation, and pieces of its tasks (create.lua)
--   P:{NAME}:events      stream  the history (events.py has the table)
--   P:{NAME}:GEN         hash    state reason created ended kinds total left failed short jobs
--                                retries deadline owner history makes_current retire first_failed
--                                prepares prepared:PATH begun:PATH
--   P:{NAME}:GEN:plan tree (strings) states (list) logs (stream) course (stream: state)
--                replicas (hash id -> "STATE AGENT PATH\n" + record) services ready (hash path -> n)
--                repairs (hash job id -> path)
--   RQ:job:ID            hash    RQ's fields, of which `description` is the task's id (its first part,
--                                when it is long: `rw_tail` has the rest), and ours:
--                                rw "STATE ATTEMPT LOSSES RETRIED TOKEN REST": STATE a letter
--                                (STATES; R once RQ's execution is shown), REST the agent while it
--                                runs and the time while it is queued; rw_next rw_wait rw_tail
--                                rw_reason rw_error rw_logseq; rw_more "QUEUE\nNAME\nREPAIR\nTIMEOUT"
--                                where the rest doesn't tell. A hash stays small in memory as long
--                                as no value of it is longer than 64 bytes
--   RQ:queue:Q wip:Q finished:Q failed:Q deferred:Q canceled:Q scheduled:Q execution:..
--   executions:.. results:..
--                        RQ's own: a mirror for its tools, from which nothing is decided
--
-- Redis doesn't roll back: a script reads and checks first, and writes only what can't fail.

local P, RQ = ARGV[1], ARGV[2]
local call = redis.call
local CLOCK = call('TIME')
local NOW = CLOCK[1] * 1000 + math.floor(CLOCK[2] / 1000)
local NOW_MS = string.format('%.0f', NOW)
local NOW_S = string.format('%.3f', NOW / 1000)
local DAY_S, DAY_MS = 86400, 86400000
local generations, date = {}, nil

-- Now as RQ writes it; made when the first needs it.
local function rq_date()
  if date then return date end
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
  date = string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(ms / 3600000), math.floor(ms / 60000) % 60, math.floor(ms / 1000) % 60, ms % 1000)
  return date
end

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
    'event', name, 'gen', g.n, ...)
end

-- The two events of every task name it by its number, as its record names it whole.
local function task_event(g, name, job, reason)
  if job.kind == 'join' then return end
  -- A repair runs under the name of a task that is long done; its replica's events tell of it.
  if job.repair and name ~= 'task.failed' then return end
  if reason or job.repair then
    event(g, name, 'task', job.task, 'worker', job.worker, 'attempt', job.attempt,
      'reason', reason or '')
  else
    event(g, name, 'i', job.number, 'worker', job.worker, 'attempt', job.attempt)
  end
end

local function changed(op, g, ...)
  call('XADD', P .. ':changes', 'MAXLEN', '~', '10000', '*', 'op', op, 'name', g.name, 'gen', g.n, ...)
end

local function command(agent, message)
  call('XADD', agent_key(agent) .. ':inbox', 'MAXLEN', '~', '1000', '*', 'c', cjson.encode(message))
end

-- Who a job belongs to stands in its id, unless RQ doesn't allow the name in one.
local function place_of(id) return string.match(id, '^(.+)%-(%d+)%-([^%-]+)$', #P + 2) end

local STATES = { w = 'waiting', q = 'queued', r = 'running', R = 'running', s = 'succeeded',
  f = 'failed', c = 'cancelled', k = 'skipped' }

local function load_job(id)
  local key = job_key(id)
  local v = call('HMGET', key, 'rw', 'description', 'rw_tail', 'origin', 'worker_name', 'rw_next',
    'rw_more', 'data')
  if not v[1] then return nil end
  local letter, attempt, losses, retried, token, rest =
    string.match(v[1], '^(%a) (%d+) (%d+) (%d+) (%S*) (.*)$')
  local name, gen, number = place_of(id)
  local task = v[3] and v[2] .. v[3] or v[2]
  local kind, path = string.match(task, '^([^:]*):?(.*)$')
  local job = { id = id, key = key, name = name, gen = gen, number = number, task = task, kind = kind,
    path = kind == 'join' and '' or path, state = STATES[letter], is_shown = letter == 'R',
    attempt = attempt, losses = losses, retried = retried,
    token = token, agent = '', since = '', worker = v[5] or '', next = v[6] or '',
    origin = v[4] or '', queue = v[4] or '', data = v[8] or '' }
  if job.state == 'running' then job.agent = rest else job.since = rest end
  if v[7] then
    local queue, other, repair, timeout = string.match(v[7], '^(.-)\n(.-)\n(.-)\n(.*)$')
    if queue ~= '' then job.queue = queue end
    if other ~= '' then job.name = other end
    job.repair, job.timeout = repair == '1', timeout
  end
  -- Neither prepares nor repairs are waited for, so they aren't counted.
  job.counted = kind ~= 'prepare' and not job.repair
  return job
end

-- What `rw` and `rw_more` of a job are to be.
local function record(job)
  local letter = job.state == 'skipped' and 'k' or string.sub(job.state, 1, 1)
  return letter .. ' ' .. job.attempt .. ' ' .. job.losses .. ' ' .. job.retried .. ' ' .. job.token
    .. ' ' .. (letter == 'r' and job.agent or letter == 'q' and job.since or '')
end

local function more(job)
  return job.queue .. '\n' .. job.name .. '\n' .. (job.repair and '1' or '') .. '\n'
    .. (job.timeout or '')
end

local function of_job(job)
  local g = generation(job.name, job.gen)
  g.jobs = g.jobs or string.match(job.id, '^(.*%-)[^-]*$')
  return g
end
