-- KEYS: inbox.  ARGV 3..: agent id, message (JSON).
if not is_agent(ARGV[3]) then return 0 end
call('XADD', KEYS[1], 'MAXLEN', '~', '1000', '*', 'c', ARGV[4])
return 1
