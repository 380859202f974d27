-- KEYS: agent.  ARGV 3..: agent id, token, job id, offset.
-- Claims one job that was taken from its queue by other means (a stock RQ worker).
local agent, token, job_id, offset = unpack(ARGV, 3, 6)
local job = is_agent(agent)
  and claim_job(job_id, agent, call('HGET', KEYS[1], 'worker'), token)
commit()
return tell({}, { job or nil }, job and { [job.g.id] = offset })
