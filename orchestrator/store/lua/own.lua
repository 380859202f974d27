-- KEYS: owners.  ARGV 3..: owner, lease (ms).
-- Takes or renews the lease of a program that owns deployments.
local owner, lease = unpack(ARGV, 3, 4)
give_time_back(tonumber(lease))
call('ZADD', KEYS[1], string.format('%.0f', NOW + lease), owner)
return 1
