-- What resume.lua and the claims share: how tasks that ended without success get another chance.

-- A generation that a newer one has replaced, or is about to, doesn't come back.
function rare.superseded(g)
  local v = call('HMGET', g.name_key, 'current', 'latest')
  if v[1] and tonumber(v[1]) > tonumber(g.n) then return true end
  for n = tonumber(v[2] or 0), tonumber(g.n) + 1, -1 do
    local state = call('HGET', g.name_key .. ':' .. n, 'state')
    if state == 'pending' or state == 'progressing' then return true end
  end
  return false
end

local function persist(g)
  for _, part in ipairs(PARTS) do call('PERSIST', g.key .. part) end
  rare.each_task(g, function(job) call('PERSIST', job.key) end)
  if call('SADD', P .. ':active', g.id) == 1 then
    call('HINCRBY', g.name_key, 'live', 1)
    -- Agents that idle look at it again, also where no task comes back.
    n_released = n_released + 1
  end
  rare.leave_history(g)
  rare.keep_bundle(g, '+inf')
  call('PERSIST', g.name_key)
  call('PERSIST', g.name_key .. ':events')
end

-- Which tasks come back: the failed ones (or only the chosen), those cancelled, and those skipped
-- unless something that stays failed is before them. Prepares don't: what they warm is done by now.
local function comes_back(g, chosen)
  local jobs, later, work, stays = {}, {}, {}, nil
  rare.each_task(g, function(job, i)
    jobs[i] = job
    local retried = job.state == 'failed' and (not chosen or job.id == chosen)
    if job.kind == 'prepare' then
      return
    elseif retried or job.state == 'skipped' or (job.state == 'cancelled' and not chosen) then
      later[i] = job
    elseif job.state == 'failed' then
      work[#work + 1] = job.next
      stays = stays or task_of(job)
    end
  end)
  while #work > 0 do
    for index in string.gmatch(table.remove(work), '%d+') do
      local i = tonumber(index)
      if later[i] then
        later[i] = nil
        work[#work + 1] = jobs[i].next
      end
    end
  end
  local back = {}
  for i = 0, #jobs do
    if later[i] then back[#back + 1] = later[i] end
  end
  return back, stays
end

function rare.revive(g, chosen)
  local back, stays = comes_back(g, chosen)
  call('HDEL', g.key, 'first_failed')
  if stays then call('HSET', g.key, 'first_failed', stays) end
  for _, job in ipairs(back) do
    g.left = g.left + 1
    if job.state == 'failed' then g.failed = g.failed - 1 end
    call('ZREM', RQ .. ':' .. MIRROR[job.state] .. ':' .. job.origin, job.id)
    local wait = tonumber(call('HGET', job.key, 'rw_wait') or 0)
    local is_chosen = wait == 0 and job.id == chosen
    job.state, job.since, job.token = is_chosen and 'queued' or 'waiting', NOW_MS, ''
    job.retried, job.losses = 0, 0
    call('HDEL', job.key, 'rw_reason')
    call('HSET', job.key, 'rw', record(job), 'ended_at', '', 'status',
      is_chosen and 'queued' or 'deferred')
    -- RQ has written its own clock's time: a claim that is told again reads it from here.
    if is_chosen then call('HSET', job.key, 'enqueued_at', rq_date()) end
    if wait > 0 and job.kind ~= 'join' then
      call('ZADD', RQ .. ':deferred:' .. job.origin, NOW_S, job.id)
    elseif wait == 0 and not is_chosen then
      enqueue(job, job.queue, false)
    end
  end
  local state = call('HGET', g.key, 'state')
  if state == 'failed' or state == 'cancelled' or state == 'stopping' or state == 'stopped' then
    call('HSET', g.key, 'retire', 0)
    call('HDEL', g.key, 'admitted', 'verdict')
    call('HSET', g.name_key, 'progressing', g.n)
    persist(g)
    rare.change_state(g, 'progressing', chosen and 'a task was queued again' or 'resumed')
    g.check = true
    return true
  end
  return #back > 0
end

-- A failed task on a queue was put there by RQ's own requeue: that is a resume of this task.
function rare.was_requeued(job)
  if call('HGET', job.key, 'status') ~= 'queued' then return false end
  flush()
  local g = job.g
  local state = call('HGET', g.key, 'state')
  if state == 'pending' or state == 'progressing' or (state == 'failed' and not rare.superseded(g)) then
    return rare.revive(g, job.id)
  end
  rare.mirror_ended(job)
  return false
end
