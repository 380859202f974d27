-- KEYS: owners.  ARGV 3: owner.
-- Ends a program's lease now: what it owns is stopped.
local stopped = end_owners({ ARGV[3] }, 'the program that owns it has ended')
commit()
return stopped
