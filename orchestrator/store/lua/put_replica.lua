-- KEYS: generation.  ARGV 3..: name, gen, agent, replica, path, state, worker, reason, value,
-- and to restore: submission, owner, whether it makes current, then services and wanted replicas.
-- Registers a replica or changes its state, under the lease of its agent (-1 when the store has lost
-- that). A generation that has ended takes no new ones. After a store has lost its data, its agents
-- bring back what runs (a `submission` is given): a generation that this store never knew. Where the
-- name was deployed anew since, the new one is what is wanted.
local name, n, agent, replica, path, state, worker, reason, packed, submission, owner,
  makes_current = unpack(ARGV, 3, 14)
if not is_agent(agent) then return math.min(0, standing(agent)) end
local g = stored(name, n)
if g and submission ~= '' and call('HGET', g.key, 'submission') ~= submission then return 0 end
if not g then
  if submission == '' then return 0 end
  g = generation(name, n)
  local known = call('HMGET', g.name_key, 'reserved', 'restored', 'current')
  if known[1] and known[2] ~= '1' then return 0 end
  g.jobs = ''
  local why, short = rare.restored_reason, 0
  for i = 15, #ARGV, 2 do
    call('HSET', g.key .. ':services', ARGV[i], ARGV[i + 1])
    if tonumber(ARGV[i + 1]) > 0 then short = short + 1 end
  end
  g.check = true
  call('HSET', g.key, 'state', 'ready', 'reason', why, 'created', NOW_MS,
    'ended', '', 'submission', submission, 'kinds', 'deploy', 'total', 0, 'left', 0, 'failed', 0,
    'short', short, 'makes_current', makes_current, 'retries', 0, 'deadline', '', 'owner', owner,
    'history', 7 * DAY_S, 'jobs', '', 'prepares', '', 'restored', '1')
  if owner ~= '' then
    -- It has a minute to say that it lives, as after a submission.
    call('ZADD', P .. ':owners', 'NX', string.format('%.0f', NOW + 60000), owner)
  end
  local newest = string.format('%.0f', math.max(tonumber(known[1] or 0), tonumber(n)))
  call('HSET', g.name_key, 'reserved', newest, 'latest', newest, 'restored', '1')
  if makes_current == '1' and tonumber(known[3] or 0) < tonumber(n) then
    call('HSET', g.name_key, 'current', n)
  end
  call('HSETNX', g.name_key, 'created', NOW_MS)
  call('HINCRBY', g.name_key, 'live', 1)
  call('PERSIST', g.name_key)
  call('SADD', P .. ':active', g.id)
  n_released = n_released + 1
  call('ZADD', P .. ':deployments', NOW_MS, name)
  event(g, 'restored', 'state', 'ready', 'reason', why)
  call('XADD', g.key .. ':course', 'MAXLEN', '~', '100', '*', 'state', 'ready')
end
local value = call('HGET', g.key .. ':replicas', replica)
local old = value and parse_replica(value)
if old and old.agent ~= agent then return 0 end
if value == packed then return 1 end
if not old and call('EXISTS', P .. ':dropped:' .. replica) == 1 then return 0 end
local phase = call('HGET', g.key, 'state')
if not old and (phase == 'failed' or phase == 'cancelled' or phase == 'stopping'
  or phase == 'stopped') then
  return 0
end
call('HSET', g.key .. ':replicas', replica, packed)
call('SADD', agent_key(agent) .. ':held', held_replica(g, replica))
if state == 'ready' and not (old and old.state == 'ready') then count_ready(g, path, 1) end
if state ~= 'ready' and old and old.state == 'ready' then count_ready(g, path, -1) end
rare.changed('put', g, 'path', path, 'replica', replica, 'record', packed)
if not old or old.state ~= state then
  replica_event(g, 'replica.' .. state, replica, path, state, worker, reason)
end
commit()
return 1
