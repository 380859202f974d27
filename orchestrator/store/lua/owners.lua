-- What sweep.lua and disown.lua share: the end of programs stops the generations that they own.

local function end_owners(owners, reason)
  local gone, stopped = {}, {}
  for _, owner in ipairs(owners) do
    gone[owner] = true
    call('ZREM', P .. ':owners', owner)
  end
  for _, id in ipairs(call('SMEMBERS', P .. ':active')) do
    local name, n = string.match(id, '^(.+)@(%d+)$')
    local g = stored(name, n)
    if g and gone[call('HGET', g.key, 'owner')] and rare.stop_generation(g, reason) then
      stopped[#stopped + 1] = id
    end
  end
  return stopped
end
