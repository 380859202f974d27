-- KEYS: generation.  ARGV 3..: name, gen, job prefix, seconds, history, retries, plan, tree, then
-- per task index, wait, next, kind, id, path, queue, description, timeout, data.
-- Stores a part of a submission that nothing sees yet and that goes by itself if it isn't sealed.
if call('EXISTS', KEYS[1]) == 1 then return 0 end
local name, gen, jobs, seconds, history, retries = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if ARGV[9] ~= '' then call('SET', KEYS[1] .. ':plan', ARGV[9], 'EX', seconds) end
if ARGV[10] ~= '' then call('SET', KEYS[1] .. ':tree', ARGV[10], 'EX', seconds) end
for i = 11, #ARGV, 10 do
  local key = job_key(jobs .. ARGV[i])
  local timeout = tonumber(ARGV[i + 8])
  call('HSET', key, 'rw_state', 'waiting', 'rw_name', name, 'rw_gen', gen, 'rw_task', ARGV[i + 4],
    'rw_kind', ARGV[i + 3], 'rw_path', ARGV[i + 5], 'rw_wait', ARGV[i + 1], 'rw_next', ARGV[i + 2],
    'rw_retries', retries, 'rw_queue', ARGV[i + 6], 'rw_ttl', history,
    'rw_timeout', ARGV[i + 8])
  if ARGV[i + 9] ~= '' then
    -- A stock worker's result_ttl would take the task's record with it.
    call('HSET', key, 'data', ARGV[i + 9], 'status', 'deferred', 'created_at', rq_date(),
      'origin', ARGV[i + 6], 'description', ARGV[i + 7], 'result_ttl', '-1',
      'timeout', timeout and string.format('%.0f', math.ceil(timeout)) or '-1')
  end
  call('EXPIRE', key, seconds)
end
return 1
