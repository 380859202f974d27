-- KEYS: generation.  ARGV 3..: name, gen, job prefix, seconds, plan, tree, then per task index, wait,
-- next, queue, its id in two parts, timeout, data ('' for a join).
-- Stores a part of a submission that nothing sees yet and that goes by itself if it isn't sealed.
if call('EXISTS', KEYS[1]) == 1 then return 0 end
local name, jobs, seconds = ARGV[3], ARGV[5], ARGV[6]
if ARGV[7] ~= '' then call('SET', KEYS[1] .. ':plan', ARGV[7], 'EX', seconds) end
if ARGV[8] ~= '' then call('SET', KEYS[1] .. ':tree', ARGV[8], 'EX', seconds) end
local hidden = place_of(jobs .. '0') ~= name and name or ''
for i = 9, #ARGV, 8 do
  local key, timeout = job_key(jobs .. ARGV[i]), tonumber(ARGV[i + 6])
  local fields = { 'rw', 'w 0 0 0  ', 'description', ARGV[i + 4] }
  local function add(field, value) fields[#fields + 1], fields[#fields + 2] = field, value end
  if ARGV[i + 5] ~= '' then add('rw_tail', ARGV[i + 5]) end
  if ARGV[i + 1] ~= '0' then add('rw_wait', ARGV[i + 1]) end
  if ARGV[i + 2] ~= '' then add('rw_next', ARGV[i + 2]) end
  if hidden ~= '' or timeout then
    add('rw_more', more({ queue = '', name = hidden, timeout = ARGV[i + 6] }))
  end
  if ARGV[i + 7] ~= '' then
    add('data', ARGV[i + 7])
    add('status', 'deferred')
    add('created_at', rq_date())
    add('origin', ARGV[i + 3])
    -- A stock worker's result_ttl would take the task's record with it.
    add('result_ttl', '-1')
    add('timeout', timeout and string.format('%.0f', math.ceil(timeout)) or '-1')
  end
  call('HSET', key, unpack(fields))
  call('EXPIRE', key, seconds)
end
return 1
