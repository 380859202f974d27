-- KEYS: generation, job.  ARGV 3..: name, gen, job id, path, queue, data, timeout.
-- Puts a deploy outside the plan on a queue, unless enough replicas are there or on their way.
-- Those of an agent that drains are there no more: they stay until others have taken over.
local name, n, job_id, path, queue, data, timeout_s = unpack(ARGV, 3, 9)
local g = stored(name, n)
local state = g and call('HGET', g.key, 'state')
if state ~= 'progressing' and state ~= 'ready' and state ~= 'degraded' then return 0 end
if call('EXISTS', KEYS[2]) == 1 then return 1 end
local wanted, there = tonumber(call('HGET', g.key .. ':services', path) or 0), 0
for _, value in ipairs(call('HVALS', g.key .. ':replicas')) do
  local replica = parse_replica(value)
  if replica.path == path and replica.state ~= 'draining'
    and call('HGET', agent_key(replica.agent), 'state') ~= 'draining' then
    there = there + 1
  end
end
for _, open in ipairs(call('HVALS', g.key .. ':repairs')) do
  if open == path then there = there + 1 end
end
if there >= wanted then return 0 end
local timeout = tonumber(timeout_s)
call('HSET', KEYS[2], 'rw', 'w 0 0 0  ', 'description', 'deploy:' .. path,
  'rw_more', more({ queue = queue, name = g.name, repair = true, timeout = timeout_s }),
  'data', data, 'created_at', rq_date(), 'origin', queue, 'result_ttl', '-1',
  'timeout', timeout and string.format('%.0f', math.ceil(timeout)) or '-1')
call('HSET', g.key .. ':repairs', job_id, path)
call('SADD', RQ .. ':queues', RQ .. ':queue:' .. queue)
enqueue(load_job(job_id), queue, false)
commit()
return 1
