-- KEYS: generation.  ARGV 3..: path, replica, request id, then fd and text in turn.
-- Stores output of a replica with its generation, and for as long as that.
local path, replica, request = unpack(ARGV, 3, 5)
if call('EXISTS', KEYS[1]) == 0 then return 0 end
local mark = 'logged:' .. replica
if call('HGET', KEYS[1], mark) == request then return 1 end
local logs = KEYS[1] .. ':logs'
for i = 6, #ARGV, 2 do
  call('XADD', logs, 'MAXLEN', '~', '10000', '*', 'path', path, 'replica', replica,
    'fd', ARGV[i], 'text', ARGV[i + 1])
end
call('HSET', KEYS[1], mark, request)
local ttl = call('TTL', KEYS[1])
if ttl > 0 then call('EXPIRE', logs, ttl) end
return 1
