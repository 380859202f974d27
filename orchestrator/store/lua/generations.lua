-- How a generation moves from state to state. `left` counts its tasks that aren't final and `short`
-- its services with too few ready replicas; both are written once a script, by `commit`, which ends
-- every script that changes tasks or replicas, and takes the generation to its next state.

function rare.changed(op, g, ...)
  call('XADD', P .. ':changes', 'MAXLEN', '~', '10000', '*', 'op', op, 'name', g.name, 'gen', g.n, ...)
end

local function command(agent, message)
  call('XADD', agent_key(agent) .. ':inbox', 'MAXLEN', '~', '1000', '*', 'c', cjson.encode(message))
end

-- Lets each agent with replicas of the generation read what was added to its state log.
function rare.announce_states(g)
  local agents = {}
  for _, value in ipairs(call('HVALS', g.key .. ':replicas')) do
    local agent = string.match(value, '^%S+ (%S+) ')
    if not agents[agent] then
      agents[agent] = true
      if is_agent(agent) then
        command(agent, { op = 'states', name = g.name, generation = tonumber(g.n) })
      end
    end
  end
end

rare.restored_reason = 'its workers brought it back after Redis had lost its data'

function rare.change_state(g, state, reason, final)
  call('HSET', g.key, 'state', state, 'reason', reason or '', 'ended', final and NOW_MS or '')
  event(g, (state == 'progressing') and state or 'deployment.' .. state, 'state', state,
    'reason', reason or '')
  call('XADD', g.key .. ':course', 'MAXLEN', '~', '100', '*', 'state', state)
end

function rare.each_task(g, visit)
  for i = 0, tonumber(call('HGET', g.key, 'total') or 0) - 1 do
    local job = load_job(g.jobs .. i)
    if job then visit(job, i) end
  end
end

local PARTS = { '', ':plan', ':tree', ':states', ':logs', ':replicas', ':services', ':ready',
  ':repairs', ':course', ':figures', ':shards', ':scaling',
  ':identity' }

-- The bundle of code stays as long as the last of the generations that use it: each is in `users`
-- with the time (ms) when it goes, '+inf' while it is active.
function rare.keep_bundle(g, last)
  local digest = call('HGET', g.key, 'bundle')
  if not digest or digest == '' then return end
  local bundle = P .. ':bundle:' .. digest
  local users = bundle .. ':users'
  call('ZADD', users, last, g.id)
  call('ZREMRANGEBYSCORE', users, '-inf', NOW_MS)
  local latest = call('ZRANGE', users, -1, -1, 'WITHSCORES')[2]
  for _, key in ipairs({ bundle, users }) do
    if not latest or string.find(latest, 'inf') then
      call('PERSIST', key)
    else
      call('PEXPIREAT', key, string.format('%.0f', latest))
    end
  end
end

-- The numbers of generations that stand in a field of the deployment's hash, the newest last.
local function numbers_in(g, field)
  local found = {}
  for n in string.gmatch(call('HGET', g.name_key, field) or '', '%d+') do found[#found + 1] = n end
  return found
end

local function put_numbers(g, field, numbers)
  if #numbers > 0 then
    call('HSET', g.name_key, field, table.concat(numbers, ' '))
  else
    call('HDEL', g.name_key, field)
  end
end

-- Takes the generation out of the numbers in a field; tells whether it was there.
local function take_number(g, field)
  local numbers, left = numbers_in(g, field), {}
  for _, n in ipairs(numbers) do
    if n ~= g.n then left[#left + 1] = n end
  end
  if #left == #numbers then return false end
  put_numbers(g, field, left)
  return true
end

function rare.leave_history(g) take_number(g, 'kept') end

-- Keeps what is left of a generation for `ttl` seconds; nil is for as long as its deployment lives.
local function keep_for(g, ttl)
  local total = tonumber(call('HGET', g.key, 'total') or 0)
  local function keep(key)
    if ttl then call('EXPIRE', key, ttl) else call('PERSIST', key) end
  end
  for _, part in ipairs(PARTS) do keep(g.key .. part) end
  for i = 0, total - 1 do keep(job_key(g.jobs .. i)) end
  rare.keep_bundle(g, ttl and string.format('%.0f', NOW + ttl * 1000) or '+inf')
end

-- Of a deployment that is to keep a number of generations: those that were current, the newest. They
-- stay for as long as another one lives, and the ones before them go now.
local function keep_newest(g, most)
  take_number(g, 'kept')
  local kept = numbers_in(g, 'kept')
  kept[#kept + 1] = g.n
  while #kept > most do
    local old = stored(g.name, table.remove(kept, 1))
    if old then keep_for(old, 60) end
  end
  put_numbers(g, 'kept', kept)
end

-- Nothing of the generation runs any more: it is history, and goes when its time has come.
local function end_generation(g)
  local ttl, ended = call('HGET', g.key, 'history'), call('SREM', P .. ':active', g.id)
  local most = tonumber(call('HGET', g.name_key, 'keep') or 0)
  local is_kept = most > 0 and call('HEXISTS', g.key, 'was_current') == 1
  -- One that had ended before may end again as another (stopped), and keeps its name as long. Where
  -- it has nearly all of its time yet, its tasks aren't told again.
  if ended == 1 or call('TTL', g.key) < 0.99 * ttl then keep_for(g, not is_kept and ttl or nil) end
  if is_kept then keep_newest(g, most) end
  if call('HINCRBY', g.name_key, 'live', 0 - ended) <= 0 then
    for _, n in ipairs(numbers_in(g, 'kept')) do
      local old = stored(g.name, n)
      if old then keep_for(old, ttl) end
    end
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
  elseif state == 'queued' and call('ZREM', RQ .. ':scheduled:' .. job.origin, job.id) == 1 then
    return
  elseif state == 'queued' and (g.removed or 0) < 100 then
    -- A long queue isn't searched for each of many: what is left there is dropped when it is taken.
    g.removed = (g.removed or 0) + 1
    call('LREM', RQ .. ':queue:' .. job.origin, 1, job.id)
  end
end

-- A shard has ended: who waits for it is told. Its outcome stays until the evaluation ends, so that
-- another attempt of that goes on from there: '' while it is open, 'r' and its result, or 'f'.
function rare.end_shard(g, job)
  local key, field = g.key .. ':shards', string.sub(job.number, 2)
  call('EXPIRE', job.key, DAY_S)
  local outcome = call('HGET', key, field)
  if not outcome then return end
  if job.state ~= 'succeeded' then call('HSET', key, field, 'f') end
  local waiting = load_job(g.jobs .. string.match(field, '^%d+'), true)
  if waiting and waiting.state == 'running' and is_agent(waiting.agent) then
    command(waiting.agent, { op = 'shard', job = waiting.id, shard = field })
  end
end

-- The event of an evaluation's end tells its result: the last that it has reported.
function rare.note_result(job)
  local found, progress = pcall(cjson.decode, call('HGET', job.key, 'rw_progress') or '')
  if found and type(progress) == 'table' and type(progress.text) == 'string' then
    job.note = progress.text
  end
end

-- What is left of an evaluation's shards is of no use when it has ended.
function rare.end_evaluation(g, job)
  local key = g.key .. ':shards'
  for _, field in ipairs(call('HKEYS', key)) do
    if string.match(field, '^%d+') == job.number then
      call('HDEL', key, field)
      local shard = load_job(g.jobs .. 's' .. field)
      if shard then cancel_task(g, shard, 'its evaluation has ended') end
    end
  end
end

local function cancel_repairs(g, reason)
  for _, id in ipairs(call('HKEYS', g.key .. ':repairs')) do
    local job = load_job(id)
    if job then cancel_task(g, job, reason) end
  end
end

-- Takes back replicas that were asked for and that nobody has begun to start.
function rare.cancel_surplus(g, path, wanted)
  local there = 0
  for _, value in ipairs(call('HVALS', g.key .. ':replicas')) do
    local state, of = string.match(value, '^(%S+) %S+ ([^\n]*)\n')
    if of == path and state ~= 'draining' then there = there + 1 end
  end
  local open = call('HGETALL', g.key .. ':repairs')
  for i = 1, #open, 2 do
    local job = open[i + 1] == path and load_job(open[i])
    if job and job.state == 'queued' and there >= wanted then
      cancel_task(g, job, 'fewer replicas are wanted')
    elseif job then
      there = there + 1
    end
  end
end

local function cancel_rest(g, reason)
  rare.each_task(g, function(job) cancel_task(g, job, reason) end)
  cancel_repairs(g, reason)
end

function rare.fail_generation(g, reason)
  local current = call('HGET', g.name_key, 'current')
  if current and current ~= g.n then
    call('HSET', g.key, 'retire', 1)
    rare.changed('stop', g)
  end
  rare.change_state(g, 'failed', reason, true)
  -- What was prepared for a deploy that won't come is of no use; what is ready stays.
  local replicas = call('HGETALL', g.key .. ':replicas')
  for i = 1, #replicas, 2 do
    local state, agent = string.match(replicas[i + 1], '^(%S+) (%S+)')
    if state == 'starting' and is_agent(agent) then
      command(agent, { op = 'stop_replica', replica = replicas[i], grace = 0 })
    end
  end
  cancel_rest(g, 'the deployment has failed')
  g.check = true
end

function rare.cancel_generation(g, reason)
  call('HSET', g.key, 'retire', 1)
  rare.changed('stop', g)
  rare.change_state(g, 'cancelled', reason, true)
  cancel_rest(g, reason)
  g.check = true
end

-- A generation is the canary of its name no longer: it is promoted, or stops.
local function forget_canary(g)
  if call('HGET', g.name_key, 'canary') ~= g.n then return false end
  call('HDEL', g.name_key, 'canary', 'canary_percent', 'canary_since')
  rare.changed('canary', g)
  return true
end

function rare.stop_generation(g, reason)
  local state = call('HGET', g.key, 'state')
  local over = state == 'failed' or state == 'cancelled'
  if state == 'stopping' or state == 'stopped'
    or (over and call('HLEN', g.key .. ':replicas') == 0) then
    return false
  end
  rare.change_state(g, 'stopping', reason)
  take_number(g, 'warm')
  forget_canary(g)
  local there = call('HMGET', g.name_key, 'current', 'canary')
  if there[1] == g.n and there[2] then
    -- It is the only one left, and calls must go somewhere.
    rare.promote(generation(g.name, there[2]), g.id .. ' was stopped')
  end
  rare.changed('stop', g)
  -- One that was ready has nothing of its plan left to run.
  local cancel = (state == 'ready' or state == 'degraded') and cancel_repairs or cancel_rest
  cancel(g, reason)
  g.check = true
  return true
end

-- A generation that was replaced keeps its replicas, unless it takes what there is only once, or has
-- lost its tree, so that nothing of it could be started again.
local function stays_warm(old, most)
  if most <= 0 then return false end
  local v = call('HMGET', old.key, 'state', 'scarce', 'restored')
  return (v[1] == 'ready' or v[1] == 'degraded') and not v[2] and not v[3]
    and call('HLEN', old.key .. ':services') > 0
end

-- What was current, and a canary beside it, have been replaced: the one before stays warm, if that
-- was asked for, and the canary and what was warm too long stop.
function rare.become_current(g)
  local there = call('HMGET', g.name_key, 'current', 'canary')
  local reason, most = 'replaced by ' .. g.id, tonumber(call('HGET', g.key, 'warm') or 0)
  call('HSET', g.name_key, 'current', g.n)
  call('HSET', g.key, 'was_current', NOW_MS)
  call('HDEL', g.name_key, 'canary', 'canary_percent', 'canary_since')
  rare.changed('current', g)
  take_number(g, 'warm')
  local warm = numbers_in(g, 'warm')
  local before = there[1] and there[1] ~= g.n and stored(g.name, there[1])
  if before and stays_warm(before, most) then
    warm[#warm + 1] = before.n
    put_numbers(g, 'warm', warm)
    event(before, 'generation.warm', 'reason', reason .. '; its replicas stay')
  elseif before then
    rare.stop_generation(before, reason)
  end
  while #warm > most do
    local old = stored(g.name, table.remove(warm, 1))
    if old then rare.stop_generation(old, reason) end
  end
  local canary = there[2] and there[2] ~= g.n and stored(g.name, there[2])
  if canary then rare.stop_generation(canary, reason) end
end

local function begin_canary(g, percent)
  local before = call('HGET', g.name_key, 'canary')
  call('HSET', g.name_key, 'canary', g.n, 'canary_percent', percent, 'canary_since', NOW_MS)
  call('DEL', g.key .. ':figures')
  event(g, 'canary.started', 'reason', 'it gets ' .. percent .. ' % of the calls')
  rare.changed('canary', g)
  local old = before and before ~= g.n and stored(g.name, before)
  if old then rare.stop_generation(old, 'replaced by ' .. g.id) end
end

local function become_ready(g, makes_current)
  -- What its state log holds at least from here on: fewer entries later, and some were lost.
  call('HSET', g.key, 'logged', call('LLEN', g.key .. ':states'))
  rare.change_state(g, 'ready', nil, call('HLEN', g.key .. ':services') == 0)
  for index in string.gmatch(call('HGET', g.key, 'prepares'), '%d+') do
    local job = load_job(g.jobs .. index)
    if job then cancel_task(g, job, 'all is deployed without it') end
  end
  local current = call('HGET', g.name_key, 'current')
  if makes_current ~= '1' or current == g.n then return end
  local percent = call('HGET', g.key, 'canary')
  local beside = current and call('HGET', g.name_key .. ':' .. current, 'state')
  if percent and (beside == 'ready' or beside == 'degraded') then
    begin_canary(g, percent)
  else
    rare.become_current(g)
  end
end

-- Makes the canary the current generation; anything else stays as it is.
function rare.promote(g, reason)
  if call('HGET', g.name_key, 'canary') ~= g.n then return false end
  call('HDEL', g.key, 'canary')
  call('HSET', g.key, 'how', 'canary promoted')
  event(g, 'canary.promoted', 'reason', reason)
  rare.become_current(g)
  return true
end

function rare.must_be_judged(g)
  local v = call('HMGET', g.key, 'requires', 'admitted')
  return v[1] and v[2] ~= '1'
end

function rare.settle(g)
  local v = call('HMGET', g.key, 'state', 'left', 'failed', 'short', 'first_failed', 'makes_current')
  local state, left, failed, short = v[1], tonumber(v[2]), tonumber(v[3]), tonumber(v[4])
  g.jobs = g.jobs or call('HGET', g.key, 'jobs')
  if (state == 'pending' or state == 'progressing') and left <= 0 then
    if failed > 0 then
      local others = failed > 1 and ' and ' .. (failed - 1) .. ' more' or ''
      return rare.fail_generation(g, (v[5] or 'a task') .. ' failed' .. others)
    elseif rare.must_be_judged(g) then
      -- The controller reads the evaluations, which no script can, and says what it found.
      rare.changed('judge', g)
    elseif short <= 0 then
      become_ready(g, v[6])
      state = 'ready'
    end
  elseif state == 'degraded' and short <= 0 then
    rare.change_state(g, 'ready', call('HGET', g.key, 'restored') and rare.restored_reason)
  elseif state == 'ready' and short > 0 then
    local why = short .. ' services have too few ready replicas'
    if call('HGET', g.key, 'restored') then
      why = why .. ', and Redis has lost the tree that new ones need: deploy it again'
    end
    rare.change_state(g, 'degraded', why)
  end
  local bare = call('HLEN', g.key .. ':replicas') == 0
  if state == 'stopping' and bare then
    rare.change_state(g, 'stopped', call('HGET', g.key, 'verdict'), true)
    if call('HGET', g.name_key, 'current') == g.n then call('HDEL', g.name_key, 'current') end
    state = 'stopped'
  end
  local ended = state == 'failed' or state == 'cancelled' or state == 'stopped'
    or (state == 'ready' and call('HLEN', g.key .. ':services') == 0)
  if ended and bare then end_generation(g) end
end
