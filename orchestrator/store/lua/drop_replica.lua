-- KEYS: generation.  ARGV 3..: name, gen, replica, state (stopped or lost), reason.
-- Takes a replica out of the registry.
local name, n, replica, state, reason = unpack(ARGV, 3, 7)
local dropped = drop_replica(generation(name, n), replica, state, reason)
commit()
return dropped and 1 or 0
