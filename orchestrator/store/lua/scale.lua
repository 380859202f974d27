-- KEYS: generation.  ARGV 3..: name, gen, path, wanted replicas, the signature of that, 'keep',
-- 'forget' or '', what is asked for by hand (`3` or `1..8`, or ''), the signature of that, why.
-- Changes how many replicas a service should have; the controller brings them, if they were asked
-- for by who has the secret. What is kept holds for later generations too, until it is forgotten.
-- What is asked for by hand is instead of the range that the tree gives the service.
local name, n, path, wanted, signature, lasting, asked, asked_signature, why = unpack(ARGV, 3, 11)
local g = stored(name, n)
local old = g and call('HGET', g.key .. ':services', path)
if not old then return 0 end
local scaling = g.key .. ':scaling'
call('HDEL', scaling, 'asleep:' .. path, 'range:' .. path)
if asked ~= '' then
  call('HSET', scaling, 'asked:' .. path, asked_signature .. ' ' .. asked, 'why:' .. path, why)
else
  call('HDEL', scaling, 'asked:' .. path, 'why:' .. path)
end
set_wanted(g, path, old, wanted, signature, '', why)
if lasting == 'keep' then call('HSET', g.name_key, 'scaled:' .. path, asked ~= '' and asked or wanted) end
if lasting == 'forget' then call('HDEL', g.name_key, 'scaled:' .. path) end
commit()
return 1
