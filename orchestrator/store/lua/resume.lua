-- KEYS: generation.  ARGV 3..: name, gen.
-- Gives all that has not succeeded another chance, also what was stopped.
local name, n = unpack(ARGV, 3, 4)
local g = stored(name, n)
if not g or rare.superseded(g) then return 0 end
local revived = rare.revive(g, nil)
commit()
return revived and 1 or 0
