-- KEYS: generation.  ARGV 3..: name, gen, whether its requirements are met, the sentence.
-- Lets a candidate go on whose tasks have all succeeded, or fails it.
local name, n, is_met, reason = unpack(ARGV, 3, 6)
local g = stored(name, n)
local v = g and call('HMGET', g.key, 'state', 'left', 'failed')
if not g or (v[1] ~= 'pending' and v[1] ~= 'progressing') then return 0 end
if tonumber(v[2]) > 0 or tonumber(v[3]) > 0 or not rare.must_be_judged(g) then return 0 end
if is_met == '1' then
  call('HSET', g.key, 'admitted', '1')
  event(g, 'requirements.met', 'reason', reason)
  g.check = true
else
  event(g, 'requirements.missed', 'reason', reason)
  rare.fail_generation(g, reason)
end
commit()
return 1
