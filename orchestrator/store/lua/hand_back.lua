-- KEYS: job.  ARGV 3..: job id, token, how its process ended ('' when it never began).
-- Puts a running task back on its queue: one that lost its process counts that as a loss, as one
-- that lost its worker does; one that never began counts nothing.
local job_id, token, lost = unpack(ARGV, 3, 5)
local job = load_job(job_id)
if not job or job.state ~= 'running' or job.token ~= token then return 0 end
local g = job.g
if lost == '' then
  job.attempt = job.attempt - 1
else
  job.losses = job.losses + 1
  task_event(g, 'task.lost', job, lost)
end
rare.requeue(g, job, true, token)
commit()
return 1
