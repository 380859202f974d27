-- KEYS: job.  ARGV 3..: job id, token, whether the attempt counts ('1').
-- Puts a running task back on its queue.
local job = load_job(ARGV[3])
if not job or job.state ~= 'running' or job.token ~= ARGV[4] then return 0 end
if ARGV[5] ~= '1' then call('HINCRBY', job.key, 'rw_attempt', -1) end
requeue(of_job(job), job, true, ARGV[4])
commit()
return 1
