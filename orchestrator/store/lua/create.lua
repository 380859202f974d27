-- KEYS: generation, then the staged pieces.  ARGV 3..: name, gen, submission, kinds, makes_current,
-- retries, deadline (s or ''), owner, history (s), by, how, job prefix, plan, tree, the last piece,
-- bundle (or ''), number of further fields, number of queues, those fields of the generation with
-- their values, queues, then per service path and wanted replicas.
-- A piece has for each task, in order, a line and what it tells the lengths of. The line: how many
-- it waits for ('-' for one that is done), next, timeout (s or ''), number of its queue, lengths;
-- these: its id in two parts, and data ('' for a join).
-- Stores a submission whole: from here it is there, and its first tasks are on their queues.
local name, n, submission, kinds, makes_current, retries, deadline_s, owner, history_s, by, how,
  jobs, plan, tree, last_piece, bundle, n_fields, n_queues = unpack(ARGV, 3, 20)
if call('EXISTS', KEYS[1]) == 1 then return 0 end
local g = generation(name, n)
g.jobs = jobs
-- A store that has lost its data would give this number again, to another submission.
if tonumber(call('HGET', g.name_key, 'reserved') or 0) < tonumber(n) then
  return redis.error_reply('INCOMPLETE reservation')
end
local pieces, queues = {}, {}
for i = 2, #KEYS do
  pieces[i - 1] = call('GET', KEYS[i])
  if not pieces[i - 1] then return redis.error_reply('INCOMPLETE piece ' .. i - 1) end
end
pieces[#KEYS] = last_piece
local fields, first_queue = {}, 21 + 2 * n_fields
for i = 21, first_queue - 1 do fields[i - 20] = ARGV[i] end
for i = 1, tonumber(n_queues) do queues[i] = ARGV[first_queue + i - 1] end
if bundle ~= '' and call('EXISTS', P .. ':bundle:' .. bundle) == 0 then
  return redis.error_reply('INCOMPLETE bundle')
end

local n_states
for i = 1, #fields, 2 do
  if fields[i] == 'taken' then n_states = tonumber(fields[i + 1]) end
  if fields[i] == 'expects' and (call('HGET', g.name_key, 'current') or '') ~= fields[i + 1] then
    return redis.error_reply('REFUSED ' .. g.name .. ' has another current generation than the '
      .. 'plan was made for: plan anew')
  end
  if fields[i] == 'canary' then
    -- The client has asked before; since then somebody else may have been quicker.
    local there = call('HMGET', g.name_key, 'current', 'canary')
    local why = not there[1] and 'has no current generation that a canary could stand beside'
      or there[2] and 'has a canary already, generation ' .. there[2]
    if why then return redis.error_reply('REFUSED ' .. g.name .. ' ' .. why) end
  end
end
if n_states and call('LLEN', g.key .. ':states') ~= n_states then
  return redis.error_reply('INCOMPLETE states')
end

local older = call('HGET', g.name_key, 'progressing')
local old = older and older ~= g.n and stored(g.name, older)
local old_state = old and call('HGET', old.key, 'state')
if old_state == 'pending' or old_state == 'progressing' then
  rare.cancel_generation(old, 'replaced by ' .. g.id)
end

local finished_until = string.format('%d', NOW / 1000 + math.min(history_s, 30 * DAY_S))
local done_reason = 'taken over from an earlier generation'
local hidden = place_of(g.jobs .. '0') ~= g.name and g.name or ''
local total, left, prepares, joins, deploys = 0, 0, {}, {}, {}

-- What waits for nothing is written as it is on its queue; a join is settled when all are there.
local function put(id, task, tail, data, wait, next, timeout, queue)
  local is_first, is_done, job = wait == '0', wait == '-', nil
  if data == '' then
    job = { 'rw', 'w 0 0 0  ', 'description', task }
    if is_first then joins[#joins + 1] = id end
  else
    -- A stock worker's result_ttl would take the task's record with it.
    job = { 'rw', is_done and 's 0 0 0  ' or is_first and 'q 0 0 0  ' .. NOW_MS or 'w 0 0 0  ',
      'description', task, 'data', data,
      'status', is_done and 'finished' or is_first and 'queued' or 'deferred', 'created_at', rq_date(),
      'origin', queue, 'result_ttl', '-1',
      'timeout', timeout ~= '' and string.format('%.0f', math.ceil(timeout)) or '-1' }
    if is_done then
      gather('ZADD', RQ .. ':finished:' .. queue, finished_until, id)
    elseif is_first then
      gather('RPUSH', RQ .. ':queue:' .. queue, id)
      n_released = n_released + 1
    else
      gather('ZADD', RQ .. ':deferred:' .. queue, NOW_S, id)
    end
  end
  local function add(field, value) job[#job + 1], job[#job + 2] = field, value end
  if is_first and data ~= '' then add('enqueued_at', rq_date()) end
  if tail ~= '' then add('rw_tail', tail) end
  if is_done then
    add('ended_at', rq_date())
    add('rw_reason', done_reason)
  elseif not is_first then
    add('rw_wait', wait)
  end
  if next ~= '' then add('rw_next', next) end
  if hidden ~= '' or timeout ~= '' then
    add('rw_more', more({ queue = '', name = hidden, timeout = timeout }))
  end
  call('HSET', job_key(id), unpack(job))
end

for _, piece in ipairs(pieces) do
  local at = 1
  while at <= #piece do
    local wait, next, timeout, queue, n_task, n_tail, n_data, from = string.match(piece,
      '^([%d-]+) ([%d,]*) (%S*) (%d+) (%d+) (%d+) (%d+)\n()', at)
    local tail_at = from + n_task
    local data_at = tail_at + n_tail
    at = data_at + n_data
    local task, tail = string.sub(piece, from, tail_at - 1), string.sub(piece, tail_at, data_at - 1)
    put(g.jobs .. total, task, tail, string.sub(piece, data_at, at - 1), wait, next, timeout,
      queues[tonumber(queue)])
    local kind = string.match(task, '^%a+')
    if kind == 'prepare' then
      prepares[#prepares + 1] = total
    elseif wait ~= '-' then
      left = left + 1
    end
    if kind == 'deploy' and wait == '0' then deploys[#deploys + 1] = string.sub(task .. tail, 8) end
    total = total + 1
  end
end
if #prepares > 0 then
  -- Released before any agent could prepare them.
  for _, path in ipairs(deploys) do call('HSET', g.key, 'begun:' .. path, 1) end
end

local short = 0
for i = first_queue + #queues, #ARGV, 2 do
  call('HSET', g.key .. ':services', ARGV[i], ARGV[i + 1])
  if tonumber(ARGV[i + 1]) > 0 then short = short + 1 end
end
local deadline = deadline_s ~= '' and string.format('%.0f', NOW + deadline_s * 1000) or ''
call('HSET', g.key, 'state', 'pending', 'reason', '', 'created', NOW_MS, 'ended', '',
  'submission', submission, 'kinds', kinds, 'total', total, 'left', left, 'failed', 0,
  'short', short, 'makes_current', makes_current, 'retries', retries, 'deadline', deadline,
  'owner', owner, 'history', history_s, 'by', by, 'how', how, 'jobs', g.jobs, 'bundle', bundle,
  'prepares', table.concat(prepares, ','))
if #fields > 0 then call('HSET', g.key, unpack(fields)) end
call('PERSIST', g.key .. ':states')
call('SET', g.key .. ':plan', plan)
call('SET', g.key .. ':tree', tree)
rare.keep_bundle(g, '+inf')
for i = 2, #KEYS do call('DEL', KEYS[i]) end
for _, queue in ipairs(queues) do call('SADD', RQ .. ':queues', RQ .. ':queue:' .. queue) end
call('HSET', g.name_key, 'latest', g.n, 'progressing', g.n)
-- It holds for the deployment, until another submission says otherwise.
local keep = call('HGET', g.key, 'keep')
if keep then call('HSET', g.name_key, 'keep', keep) end
call('HSETNX', g.name_key, 'created', NOW_MS)
call('HINCRBY', g.name_key, 'live', 1)
call('PERSIST', g.name_key)
call('SADD', P .. ':active', g.id)
call('ZADD', P .. ':deployments', NOW_MS, g.name)
-- An owner that never says that it lives is given a minute.
if owner ~= '' then
  give_time_back(60000)
  call('ZADD', P .. ':owners', 'NX', string.format('%.0f', NOW + 60000), owner)
end
event(g, 'submitted', 'state', 'pending')
call('PERSIST', g.name_key .. ':events')
for _, id in ipairs(joins) do
  local job = load_job(id)
  end_task(g, job, 'succeeded')
  release_after(g, { job.next })
end
g.check = total == 0 or left == 0
commit()
return 1
