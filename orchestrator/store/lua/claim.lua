-- KEYS: agent.  ARGV 3..: agent id, token, job id, offset.
-- Claims one job that was taken from its queue by other means (a stock RQ worker).
local job = is_agent(ARGV[3])
  and claim_job(ARGV[5], ARGV[3], call('HGET', KEYS[1], 'worker'), ARGV[4])
commit()
return tell({}, { job or nil }, job and { [job.g.id] = ARGV[6] })
