-- KEYS: job.  ARGV 3..: job id, token, how its process ended ('' when it never began), then the error
-- with which it fails when it was lost too often, its RQ form, and 1 when its worker is leaving.
-- Puts a running task back on its queue: one that lost its process counts that as a loss, as one
-- that lost its worker does; one that never began counts nothing.
local job_id, token, lost, error, exc, leaving = unpack(ARGV, 3, 8)
local job = load_job(job_id)
if not job or job.state ~= 'running' or job.token ~= token then return 0 end
if lost == '' then
  rare.give_back(job.g, job, token, leaving == '1')
else
  rare.lose_task(job.g, job, lost, error, exc, true)
end
commit()
return 1
