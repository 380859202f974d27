-- KEYS: job.  ARGV 3..: job id, token, number of this piece, then fd and text in turn.
-- Stores output of a running attempt; a piece that is there already isn't stored twice.
local job_id, attempt_token, seq = unpack(ARGV, 3, 5)
local job = load_job(job_id)
if not job or job.state ~= 'running' or job.token ~= attempt_token then return 0 end
local token, last = string.match(call('HGET', KEYS[1], 'rw_logseq') or '', '^(%S+) (%d+)$')
if token == job.token and tonumber(last) >= tonumber(seq) then return 1 end
store_output(job.g, job, ARGV, 6)
call('HSET', KEYS[1], 'rw_logseq', job.token .. ' ' .. seq)
return 1
