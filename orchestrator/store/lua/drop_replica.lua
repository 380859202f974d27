-- KEYS: generation.  ARGV 3..: name, gen, replica, state (stopped or lost), reason.
-- Takes a replica out of the registry.
local dropped = drop_replica(generation(ARGV[3], ARGV[4]), ARGV[5], ARGV[6], ARGV[7])
commit()
return dropped and 1 or 0
