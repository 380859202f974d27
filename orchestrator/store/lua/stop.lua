-- KEYS: name.  ARGV 3..: name, gen or '' for all, reason.
-- Stops what a generation serves, or all active ones of the name.
local stopped = {}
local function stop(n)
  local g = stored(ARGV[3], n)
  if g and rare.stop_generation(g, ARGV[5]) then stopped[#stopped + 1] = n end
end
if ARGV[4] ~= '' then
  stop(ARGV[4])
else
  for _, id in ipairs(call('SMEMBERS', P .. ':active')) do
    local name, n = string.match(id, '^(.+)@(%d+)$')
    if name == ARGV[3] then stop(n) end
  end
end
commit()
return stopped
