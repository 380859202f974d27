-- KEYS: generation.  ARGV 3..: path, replica, request id, then fd and text in turn.
-- Stores output of a replica with its generation, and for as long as that.
if call('EXISTS', KEYS[1]) == 0 then return 0 end
local mark = 'logged:' .. ARGV[4]
if call('HGET', KEYS[1], mark) == ARGV[5] then return 1 end
local logs = KEYS[1] .. ':logs'
for i = 6, #ARGV, 2 do
  call('XADD', logs, 'MAXLEN', '~', '10000', '*', 'path', ARGV[3], 'replica', ARGV[4],
    'fd', ARGV[i], 'text', ARGV[i + 1])
end
call('HSET', KEYS[1], mark, ARGV[5])
local ttl = call('TTL', KEYS[1])
if ttl > 0 then call('EXPIRE', logs, ttl) end
return 1
