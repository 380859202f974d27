-- KEYS: bundle.  ARGV 3..: seconds, the signed archive.
-- Stores a bundle that goes by itself unless a submission uses it; one that is used stays so.
local keep_s, sealed = unpack(ARGV, 3, 4)
if call('EXISTS', KEYS[1]) == 1 then
  call('SET', KEYS[1], sealed, 'KEEPTTL')
else
  call('SET', KEYS[1], sealed, 'EX', keep_s)
end
return 1
