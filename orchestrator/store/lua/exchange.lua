-- KEYS: agent.  ARGV 3..: agent id, request id, limit, then counted lists: queues; pairs of
-- NAME@GEN and offset; finishes. A finish is job, token, and how many entries of the state log
-- follow, when it has succeeded and printed nothing; else job, token, '', state, retryable, error,
-- reason, exc, entries of the state log (counted), output as fd and text (counted).
-- Finishes tasks and claims others in one step. A request that is repeated, because its answer was
-- lost, gets the claims that it made the first time. Requests begin with 8 digits that count up: one
-- that arrives after a later one has no reader any more, and claims nothing. While RQ's workers are
-- suspended nothing is claimed, and the answer says so.
local at = 5
local function take_list(width)
  local first, list = at + 2, {}
  at = at + 1 + tonumber(ARGV[at + 1]) * (width or 1)
  for i = first, at do list[i - first + 1] = ARGV[i] end
  return list
end

local me, request, limit = ARGV[3], ARGV[4], tonumber(ARGV[5])
local queues, offsets, finishes, results = take_list(), {}, {}, {}
at = at + 1
for _ = 1, tonumber(ARGV[at]) do
  offsets[ARGV[at + 1]] = ARGV[at + 2]
  at = at + 2
end
at = at + 1
for i = 1, tonumber(ARGV[at]) do
  local f = { id = ARGV[at + 1], token = ARGV[at + 2], state = 'succeeded' }
  at = at + 2
  if ARGV[at + 1] == '' then
    f.state, f.retryable, f.error = ARGV[at + 2], ARGV[at + 3] == '1', ARGV[at + 4]
    f.reason, f.exc = ARGV[at + 5], ARGV[at + 6]
    at = at + 6
    f.states, f.output = take_list(), take_list(2)
  else
    f.states = take_list()
  end
  finishes[i] = f
end

-- Whether a finish is accepted, repeated or stale.
local function check(f)
  local job = load_job(f.id, true)
  if not job or job.token == '' or job.token ~= f.token then return 's' end
  if job.state ~= 'running' then return 'r' end
  f.job = job
  return 'a'
end

local function finish(f)
  local job, g = f.job, f.job.g
  if f.output then store_output(g, job, f.output, 1) end
  if f.state == 'succeeded' then
    if job.kind == 'eval' then rare.note_result(job) end
    end_task(g, job, 'succeeded', nil, f.token)
    g.ended[#g.ended + 1] = job.next
    return
  end
  rare.record_failure(g, job, f.error, f.exc)
  if f.retryable and not job.repair and options(g).retries > tonumber(job.retried) then
    task_event(g, 'task.retried', job, f.reason)
    rare.retry_later(g, job, f.token)
  else
    rare.fail_task(g, job, f.reason, f.token)
  end
end

-- The state log (of a shard its result) at once and first: it is what Redis may refuse, and then nothing has been written.
local order, accepted = {}, {}
for i, f in ipairs(finishes) do
  results[i] = accepted[f.id] == f.token and 'r' or check(f)
  if f.job then
    local g = f.job.g
    accepted[f.id] = f.token
    if not g.ended then g.ended, g.log, order[#order + 1] = {}, {}, g end
    if f.state == 'succeeded' and f.job.is_shard then
      -- Where its evaluation waits for it no more, nobody reads it.
      local key, field = g.key .. ':shards', string.sub(f.job.number, 2)
      if call('HEXISTS', key, field) == 1 then call('HSET', key, field, 'r' .. f.states[1]) end
    elseif f.state == 'succeeded' then
      for _, entry in ipairs(f.states) do g.log[#g.log + 1] = entry end
    end
  end
end
for _, g in ipairs(order) do
  for i = 1, #g.log, 1000 do
    g.length = call('RPUSH', g.key .. ':states', unpack(g.log, i, math.min(i + 999, #g.log)))
  end
  -- What is served already follows; before the first replica is ready, each reads the log itself.
  if #g.log > 0 and call('EXISTS', g.key .. ':ready') == 1 then rare.announce_states(g) end
end
for _, f in ipairs(finishes) do
  if f.job then finish(f) end
end
for _, g in ipairs(order) do release_after(g, g.ended) end

-- Who has a worker's name has a lease: the end of that takes both.
local v = call('HMGET', KEYS[1], 'worker', 'request', 'claimed', 'alone', 'lease')
local known = v[1]
local claims, is_suspended = {}, false
if known then
  if v[2] == request then
    for id in string.gmatch(v[3], '[^,]+') do
      local job = load_job(id)
      if job and job.state == 'running' and job.agent == me then
        local times = call('HMGET', job.key, 'enqueued_at', 'started_at')
        job.queued, job.claimed = rare.ms_of(times[1]), rare.ms_of(times[2])
        claims[#claims + 1] = job
      end
    end
  elseif limit > 0 and not (v[2] and string.sub(request, 1, 8) < string.sub(v[2], 1, 8))
    and not (v[4] and rare.runs_alone(me, v[4])) then
    is_suspended = call('EXISTS', RQ .. ':suspended') == 1
    local ids = {}
    for _, queue in ipairs(is_suspended and {} or queues) do
      if #claims < limit then limit = claim_from(queue, me, v[1], request, limit, claims) end
    end
    if v[5] and #claims > 0 and NOW >= tonumber(call('HGET', P .. ':sweep', 'heard') or 0) then
      -- What it holds from here on isn't to wait for the end of the lease of an idle agent. After a
      -- jump of the clock backwards the next renewal sees to it: what is given back would move this.
      call('ZADD', P .. ':agents', 'XX', 'LT', string.format('%.0f', NOW + v[5]), me)
      call('HDEL', KEYS[1], 'lease')
    end
    for i, job in ipairs(claims) do ids[i] = job.id end
    call('HSET', KEYS[1], 'request', request, 'claimed', table.concat(ids, ','))
  end
end
commit()
return tell({ standing(me, known), table.concat(results), is_suspended and 1 or 0 }, claims, offsets)
