-- KEYS: loads.  ARGV 3..: for how long a report counts (ms).
-- Returns what has been reported lately; what is older is forgotten, as its reporter is gone.
local found, known = {}, call('HGETALL', KEYS[1])
for i = 1, #known, 2 do
  local at, loads = string.match(known[i + 1], '^(%d+) (.*)$')
  if at and NOW - at <= tonumber(ARGV[3]) then
    found[#found + 1] = loads
  else
    call('HDEL', KEYS[1], known[i])
  end
end
return found
