-- KEYS: owners.  ARGV 3..: owner, lease (ms).
-- Takes or renews the lease of a program that owns deployments.
give_time_back(tonumber(ARGV[4]))
call('ZADD', KEYS[1], string.format('%.0f', NOW + ARGV[4]), ARGV[3])
return 1
