-- KEYS: generation, job of the evaluation.  ARGV 3..: name, gen, job id, token, then per shard its
-- job id and data.
-- Queues shards of an evaluation that runs, where it is queued itself. One that is there already
-- isn't queued again.
local name, n, job_id, token = unpack(ARGV, 3, 6)
local g = stored(name, n)
local evaluation = g and load_job(job_id)
if not evaluation or evaluation.state ~= 'running' or evaluation.token ~= token then return 0 end
local queue = evaluation.queue
for i = 7, #ARGV, 2 do
  local id, data = ARGV[i], ARGV[i + 1]
  if call('EXISTS', job_key(id)) == 0 then
    call('HSET', job_key(id), 'rw', 'w 0 0 0  ', 'description', evaluation.head,
      'rw_more', more({ queue = queue, name = g.name, repair = true, is_shard = true }),
      'data', data, 'created_at', rq_date(), 'origin', queue, 'result_ttl', '-1', 'timeout', '-1')
    if evaluation.tail ~= '' then call('HSET', job_key(id), 'rw_tail', evaluation.tail) end
    call('HSET', g.key .. ':shards', string.sub(load_job(id).number, 2), '')
    enqueue(load_job(id), queue, false)
  end
end
commit()
return 1
