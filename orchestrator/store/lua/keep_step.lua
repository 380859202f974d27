-- KEYS: job.  ARGV 3..: job id, token, how many of a task's callables have ended, then what they have
-- changed: entries of the state log.
-- Keeps the end of a callable, so that another attempt begins behind it. Safe to repeat.
local id, token, step = unpack(ARGV, 3, 5)
local job = load_job(id)
if not job or job.state ~= 'running' or job.token ~= token then return 0 end
if (tonumber(job.steps) or 0) >= tonumber(step) then return 1 end
local states = job.g.key .. ':states'
for i = 6, #ARGV do call('RPUSH', states, ARGV[i]) end
if #ARGV > 5 and call('EXISTS', job.g.key .. ':ready') == 1 then rare.announce_states(job.g) end
job.steps = step
call('HSET', job.key, 'rw_more', more(job))
return 1
