-- KEYS: agent.  ARGV 3..: agent id, request id, limit, then counted lists: queues; pairs of
-- NAME@GEN and offset; finishes as job, token, state, retryable, error, reason, exc, entries of the state
-- log (counted), output as fd and text (counted).
-- Finishes tasks and claims others in one step. A request that is repeated, because its answer was
-- lost, gets the claims that it made the first time. Requests begin with 8 digits that count up: one
-- that arrives after a later one has no reader any more, and claims nothing. While RQ's workers are
-- suspended nothing is claimed, and the answer says so.
local at = 5
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_list(width)
  local list = {}
  for i = 1, tonumber(take()) * (width or 1) do list[i] = take() end
  return list
end

local me, request, limit = ARGV[3], ARGV[4], tonumber(ARGV[5])
local queues, offsets, finishes, results = take_list(), {}, {}, {}
local pairs_of_offsets = take_list(2)
for i = 1, #pairs_of_offsets, 2 do offsets[pairs_of_offsets[i]] = pairs_of_offsets[i + 1] end
for i = 1, tonumber(take()) do
  finishes[i] = { id = take(), token = take(), state = take(), retryable = take() == '1',
    error = take(), reason = take(), exc = take(), states = take_list(), output = take_list(2) }
end

local succeeded, order = {}, {}
local function finish(f)
  local job = load_job(f.id)
  if not job or job.token == '' or job.token ~= f.token then return 'stale' end
  if job.state ~= 'running' then return 'repeated' end
  local g = of_job(job)
  for i = 1, #f.output, 2 do
    call('XADD', g.key .. ':logs', 'MAXLEN', '~', '10000', '*', 'path', job.path, 'task', job.task,
      'attempt', job.attempt, 'fd', f.output[i], 'text', f.output[i + 1])
  end
  if f.state == 'succeeded' then
    -- At once and first: it is what Redis may refuse, and then nothing else has been written.
    for i = 1, #f.states, 1000 do
      call('RPUSH', g.key .. ':states', unpack(f.states, i, math.min(i + 999, #f.states)))
    end
    end_task(g, job, 'succeeded', nil, f.token)
    local ended = succeeded[g]
    if not ended then
      ended = {}
      succeeded[g], order[#order + 1] = ended, g
    end
    ended[#ended + 1] = job.next
    return 'accepted'
  end
  record_failure(g, job, f.error, f.exc)
  if f.retryable and not job.repair and options(g).retries > tonumber(job.retried) then
    task_event(g, 'task.retried', job, f.reason)
    retry_later(g, job, f.token)
  else
    fail_task(g, job, f.reason, f.token)
  end
  return 'accepted'
end

for i, f in ipairs(finishes) do results[i] = finish(f) end
for _, g in ipairs(order) do release_after(g, succeeded[g]) end

-- Who has a worker's name has a lease: the end of that takes both.
local v = call('HMGET', KEYS[1], 'worker', 'request', 'claimed', 'alone')
local known = v[1] and true
local claims, is_suspended = {}, false
if known then
  if v[2] == request then
    for id in string.gmatch(v[3], '[^,]+') do
      local job = load_job(id)
      if job and job.state == 'running' and job.agent == me then
        local times = call('HMGET', job.key, 'enqueued_at', 'started_at')
        job.queued, job.claimed = ms_of(times[1]), ms_of(times[2])
        claims[#claims + 1] = job
      end
    end
  elseif limit > 0 and not (v[2] and string.sub(request, 1, 8) < string.sub(v[2], 1, 8))
    and not runs_alone(me, v[4]) then
    is_suspended = call('EXISTS', RQ .. ':suspended') == 1
    local ids = {}
    for _, queue in ipairs(is_suspended and {} or queues) do
      if #claims < limit then limit = claim_from(queue, me, v[1], request, limit, claims) end
    end
    for i, job in ipairs(claims) do ids[i] = job.id end
    call('HSET', KEYS[1], 'request', request, 'claimed', table.concat(ids, ','))
  end
end
commit()
return { known and 1 or 0, results, claim_answers(claims, offsets), is_suspended and 1 or 0 }
