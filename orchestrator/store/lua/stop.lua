-- KEYS: name.  ARGV 3..: name, gen or '' for all, reason.
-- Stops what a generation serves, or all active ones of the name.
local name, chosen, reason = unpack(ARGV, 3, 5)
local stopped = {}
local function stop(n)
  local g = stored(name, n)
  if g and rare.stop_generation(g, reason) then stopped[#stopped + 1] = n end
end
if chosen ~= '' then
  stop(chosen)
else
  for _, id in ipairs(call('SMEMBERS', P .. ':active')) do
    local of, n = string.match(id, '^(.+)@(%d+)$')
    if of == name then stop(n) end
  end
end
commit()
return stopped
