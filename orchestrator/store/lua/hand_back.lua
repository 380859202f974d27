-- KEYS: job.  ARGV 3..: job id, token, how its process ended ('' when it never began).
-- Puts a running task back on its queue: one that lost its process counts that as a loss, as one
-- that lost its worker does; one that never began counts nothing.
local job = load_job(ARGV[3])
if not job or job.state ~= 'running' or job.token ~= ARGV[4] then return 0 end
local g = job.g
if ARGV[5] == '' then
  job.attempt = job.attempt - 1
else
  job.losses = job.losses + 1
  task_event(g, 'task.lost', job, ARGV[5])
end
rare.requeue(g, job, true, ARGV[4])
commit()
return 1
