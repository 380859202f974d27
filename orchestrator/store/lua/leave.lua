-- KEYS: agent.  ARGV 3: agent id.
-- Ends an agent that goes by itself: what it still holds goes back and counts no loss.
if not is_agent(ARGV[3]) then return 0 end
end_agent(ARGV[3], false)
commit()
return 1
