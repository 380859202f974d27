-- KEYS: generation.  ARGV 3..: first and last place in the plan, then fields.
-- Returns those fields of the jobs of the places, in order; nothing for an unknown generation.
local jobs = call('HGET', KEYS[1], 'jobs')
if not jobs then return {} end
local last = math.min(tonumber(ARGV[4]), tonumber(call('HGET', KEYS[1], 'total')) - 1)
local fields, rows = {}, {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
for place = tonumber(ARGV[3]), last do
  rows[#rows + 1] = call('HMGET', job_key(jobs .. place), unpack(fields))
end
return rows
