-- KEYS: job.  ARGV 3..: job id, token, how its process ended ('' when it never began), then the error
-- with which it fails when it was lost too often, and its RQ form.
-- Puts a running task back on its queue: one that lost its process counts that as a loss, as one
-- that lost its worker does; one that never began counts nothing.
local job_id, token, lost, error, exc = unpack(ARGV, 3, 7)
local job = load_job(job_id)
if not job or job.state ~= 'running' or job.token ~= token then return 0 end
if lost == '' then
  job.attempt = job.attempt - 1
  rare.requeue(job.g, job, true, token)
else
  rare.lose_task(job.g, job, lost, error, exc)
end
commit()
return 1
