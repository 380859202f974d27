-- KEYS: generation.  ARGV 3..: name, gen, replica, its agent, its path, value ('': it is to be out).
-- Puts right a replica's record that somebody else has written: as its owner has it, or out. What is
-- counted of ready replicas is counted anew, as the false record may have been counted, or not.
local replica, agent, path, value = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local g = stored(ARGV[3], ARGV[4])
if not g then return 0 end
local replicas = g.key .. ':replicas'
local known = call('HGET', replicas, replica)
if (known or '') == value then return 0 end
if value == '' then
  call('HDEL', replicas, replica)
  call('SET', P .. ':dropped:' .. replica, 1, 'EX', 600)
  rare.changed('drop', g, 'path', path, 'replica', replica)
  replica_event(g, 'replica.lost', replica, path, 'lost', '', 'no worker has registered it')
else
  if not is_agent(agent) or call('EXISTS', P .. ':dropped:' .. replica) == 1 then return 0 end
  call('HSET', replicas, replica, value)
  call('SADD', agent_key(agent) .. ':held', held_replica(g, replica))
  rare.changed('put', g, 'path', path, 'replica', replica, 'record', value)
end
local ready = {}
for _, each in ipairs(call('HVALS', replicas)) do
  local found = parse_replica(each)
  if found.state == 'ready' then ready[found.path] = (ready[found.path] or 0) + 1 end
end
local services = call('HGETALL', g.key .. ':services')
for i = 1, #services, 2 do
  local name, wanted = services[i], tonumber(services[i + 1])
  local before, now = tonumber(call('HGET', g.key .. ':ready', name) or 0), ready[name] or 0
  if before ~= now then
    call('HSET', g.key .. ':ready', name, now)
    count_short(g, before >= wanted, now >= wanted)
  end
end
g.check = true
commit()
return 1
