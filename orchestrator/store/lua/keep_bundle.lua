-- KEYS: bundle, its users.  ARGV 3..: seconds, how a value that is signed with our key begins.
-- Tells whether the bundle is here and readable, and lets it stay until a submission can use it.
local keep_s, head = unpack(ARGV, 3, 4)
if call('GETRANGE', KEYS[1], 0, #head - 1) ~= head then return 0 end
for _, key in ipairs(KEYS) do
  local ttl = call('TTL', key)
  if ttl >= 0 and ttl < tonumber(keep_s) then call('EXPIRE', key, keep_s) end
end
return 1
