-- KEYS: secret, agents.  ARGV 3: the fingerprint of a worker's secret.
-- Says by which secret workers work here: that of the first, for as long as any of them lives.
local fingerprint = ARGV[3]
local known = call('GET', KEYS[1])
local living = '(' .. NOW_MS
if known and call('ZCOUNT', KEYS[2], living, '+inf') > 0 then return known end
call('SET', KEYS[1], fingerprint)
return fingerprint
