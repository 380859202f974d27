-- KEYS: inbox.  ARGV 3..: agent id, message (JSON).
local agent, message = unpack(ARGV, 3, 4)
if not is_agent(agent) then return 0 end
call('XADD', KEYS[1], 'MAXLEN', '~', '1000', '*', 'c', message)
return 1
