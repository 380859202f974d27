-- KEYS: owners.  ARGV 3: owner.
-- Ends a program's lease now: what it owns is stopped.
local owner = ARGV[3]
local stopped = end_owners({ owner }, 'the program that owns it has ended')
commit()
return stopped
