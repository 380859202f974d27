-- KEYS: generation.  ARGV 3..: name, gen, submission, kinds, total, makes_current, retries,
-- deadline (s or ''), owner, history (s), job prefix, then per service path and wanted replicas.
-- Seals what was staged: from here it is there, and its first tasks are on their queues.
if call('EXISTS', KEYS[1]) == 1 then return 0 end
local g = generation(ARGV[3], ARGV[4])
g.jobs = ARGV[13]
local total, left, roots, queues, prepares = tonumber(ARGV[7]), 0, {}, {}, {}
if call('EXISTS', g.key .. ':plan', g.key .. ':tree') < 2 then
  return redis.error_reply('INCOMPLETE plan or tree')
end
for i = 0, total - 1 do
  local v = call('HMGET', job_key(g.jobs .. i), 'rw', 'rw_wait', 'description', 'origin')
  if not v[1] then return redis.error_reply('INCOMPLETE task ' .. i) end
  if not v[2] then roots[#roots + 1] = g.jobs .. i end
  if string.sub(v[3], 1, 8) == 'prepare:' then prepares[#prepares + 1] = i else left = left + 1 end
  if v[4] then
    local waiting = queues[v[4]] or {}
    queues[v[4]] = waiting
    waiting[#waiting + 1] = NOW_S
    waiting[#waiting + 1] = g.jobs .. i
  end
end

local older = call('HGET', g.name_key, 'progressing')
local old = older and older ~= g.n and stored(g.name, older)
local old_state = old and call('HGET', old.key, 'state')
if old_state == 'pending' or old_state == 'progressing' then
  cancel_generation(old, 'replaced by ' .. g.id)
end

local short = 0
for i = 14, #ARGV, 2 do
  call('HSET', g.key .. ':services', ARGV[i], ARGV[i + 1])
  if tonumber(ARGV[i + 1]) > 0 then short = short + 1 end
end
local deadline = ARGV[10] ~= '' and string.format('%.0f', NOW + ARGV[10] * 1000) or ''
call('HSET', g.key, 'state', 'pending', 'reason', '', 'created', NOW_MS, 'ended', '',
  'submission', ARGV[5], 'kinds', ARGV[6], 'total', total, 'left', left, 'failed', 0,
  'short', short, 'makes_current', ARGV[8], 'retries', ARGV[9], 'deadline', deadline,
  'owner', ARGV[11], 'history', ARGV[12], 'jobs', g.jobs, 'prepares', table.concat(prepares, ','))
call('PERSIST', g.key .. ':plan')
call('PERSIST', g.key .. ':tree')
for i = 0, total - 1 do call('PERSIST', job_key(g.jobs .. i)) end
for queue, waiting in pairs(queues) do
  call('SADD', RQ .. ':queues', RQ .. ':queue:' .. queue)
  for i = 1, #waiting, 1000 do
    call('ZADD', RQ .. ':deferred:' .. queue, unpack(waiting, i, math.min(i + 999, #waiting)))
  end
end
call('HSET', g.name_key, 'latest', g.n, 'progressing', g.n)
call('HSETNX', g.name_key, 'created', NOW_MS)
call('HINCRBY', g.name_key, 'live', 1)
call('PERSIST', g.name_key)
call('SADD', P .. ':active', g.id)
call('ZADD', P .. ':deployments', NOW_MS, g.name)
-- An owner that never says that it lives is given a minute.
if ARGV[11] ~= '' then
  give_time_back(60000)
  call('ZADD', P .. ':owners', 'NX', string.format('%.0f', NOW + 60000), ARGV[11])
end
event(g, 'submitted', 'state', 'pending')
call('PERSIST', g.name_key .. ':events')
for _, id in ipairs(roots) do
  local job = load_job(id)
  if job.kind == 'join' then
    end_task(g, job, 'succeeded')
    release_after(g, { job.next })
  else
    release(g, job)
  end
end
g.check = total == 0 or left == 0
commit()
return 1
