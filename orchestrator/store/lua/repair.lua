-- KEYS: generation, job.  ARGV 3..: name, gen, job id, path, queue, data, timeout.
-- Puts a deploy outside the plan on a queue, unless enough replicas are there or on their way.
-- Those of an agent that drains are there no more: they stay until others have taken over.
local g = stored(ARGV[3], ARGV[4])
local state = g and call('HGET', g.key, 'state')
if state ~= 'progressing' and state ~= 'ready' and state ~= 'degraded' then return 0 end
if call('EXISTS', KEYS[2]) == 1 then return 1 end
local wanted, there = tonumber(call('HGET', g.key .. ':services', ARGV[6]) or 0), 0
for _, value in ipairs(call('HVALS', g.key .. ':replicas')) do
  local replica = parse_replica(value)
  if replica.path == ARGV[6] and replica.state ~= 'draining'
    and call('HGET', agent_key(replica.agent), 'state') ~= 'draining' then
    there = there + 1
  end
end
for _, path in ipairs(call('HVALS', g.key .. ':repairs')) do
  if path == ARGV[6] then there = there + 1 end
end
if there >= wanted then return 0 end
local timeout = tonumber(ARGV[9])
call('HSET', KEYS[2], 'rw', 'w 0 0 0  ', 'description', 'deploy:' .. ARGV[6],
  'rw_more', more({ queue = ARGV[7], name = g.name, repair = true, timeout = ARGV[9] }),
  'data', ARGV[8], 'created_at', rq_date(), 'origin', ARGV[7], 'result_ttl', '-1',
  'timeout', timeout and string.format('%.0f', math.ceil(timeout)) or '-1')
call('HSET', g.key .. ':repairs', ARGV[5], ARGV[6])
call('SADD', RQ .. ':queues', RQ .. ':queue:' .. ARGV[7])
enqueue(load_job(ARGV[5]), ARGV[7], false)
commit()
return 1
