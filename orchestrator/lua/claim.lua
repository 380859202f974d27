-- KEYS: agent.  ARGV 3..: agent id, token, job id, offset.
-- Claims one job that was taken from its queue by other means (a stock RQ worker).
local job = is_agent(ARGV[3])
  and claim_job(ARGV[5], ARGV[3], call('HGET', KEYS[1], 'worker'), ARGV[4])
commit()
if not job then return { {}, {} } end
return claim_answers({ job }, { [job.name .. '@' .. job.gen] = ARGV[6] })
