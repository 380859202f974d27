-- KEYS: generation.  ARGV 3..: name, gen, agent, replica, path, state, worker, reason, value,
-- whether to restore ('1').
-- Registers a replica or changes its state, under the lease of its agent. A generation that has
-- ended takes no new ones. After a store has lost its data, `restore` lets the agents bring back
-- what runs: a generation that this store never knew, with as many replicas as come.
local name, n, agent, replica, path, state, worker, reason, packed, restore =
  unpack(ARGV, 3, 12)
if not is_agent(agent) then return 0 end
local g = stored(name, n)
if not g then
  if restore ~= '1' then return 0 end
  g = generation(name, n)
  if tonumber(call('HGET', g.name_key, 'reserved') or 0) >= tonumber(n)
    and call('HGET', g.name_key, 'restored') ~= '1' then
    return 0
  end
  g.jobs = ''
  call('HSET', g.key, 'state', 'ready', 'reason', 'restored by its workers', 'created', NOW_MS,
    'ended', '', 'submission', '', 'kinds', 'deploy', 'total', 0, 'left', 0, 'failed', 0, 'short', 0,
    'makes_current', '1', 'retries', 0, 'deadline', '', 'owner', '', 'history', 7 * DAY_S,
    'jobs', '', 'prepares', '', 'restored', '1')
  local known = tonumber(call('HGET', g.name_key, 'latest') or 0)
  local newest = string.format('%.0f', math.max(known, tonumber(n)))
  call('HSET', g.name_key, 'reserved', newest, 'latest', newest, 'current', newest, 'restored', '1')
  call('HSETNX', g.name_key, 'created', NOW_MS)
  call('HINCRBY', g.name_key, 'live', 1)
  call('PERSIST', g.name_key)
  call('SADD', P .. ':active', g.id)
  n_released = n_released + 1
  call('ZADD', P .. ':deployments', NOW_MS, name)
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
if not old and restore == '1' and call('HGET', g.key, 'restored') then
  local wanted = call('HINCRBY', g.key .. ':services', path, 1)
  local ready = tonumber(call('HGET', g.key .. ':ready', path) or 0)
  count_short(g, ready >= wanted - 1, ready >= wanted)
end
if state == 'ready' and not (old and old.state == 'ready') then count_ready(g, path, 1) end
if state ~= 'ready' and old and old.state == 'ready' then count_ready(g, path, -1) end
rare.changed('put', g, 'path', path, 'replica', replica, 'record', packed)
if not old or old.state ~= state then
  replica_event(g, 'replica.' .. state, replica, path, state, worker, reason)
end
commit()
return 1
