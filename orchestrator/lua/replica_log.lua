-- KEYS: generation.  ARGV 3..: path, replica, number of this piece, then fd and text in turn.
-- Stores output of a replica with its generation, and for as long as that.
if call('EXISTS', KEYS[1]) == 0 then return 0 end
local mark = 'logseq:' .. ARGV[4]
local number = tonumber(ARGV[5])
if tonumber(call('HGET', KEYS[1], mark) or 0) >= number then return 1 end
local logs = KEYS[1] .. ':logs'
for i = 6, #ARGV, 2 do
  call('XADD', logs, 'MAXLEN', '~', '10000', '*', 'path', ARGV[3], 'replica', ARGV[4],
    'fd', ARGV[i], 'text', ARGV[i + 1])
end
call('HSET', KEYS[1], mark, number)
local ttl = call('TTL', KEYS[1])
if ttl > 0 then call('EXPIRE', logs, ttl) end
return 1
