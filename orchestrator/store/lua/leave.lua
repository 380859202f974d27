-- KEYS: agent.  ARGV 3: agent id.
-- Ends an agent that goes by itself: what it still holds goes back and counts no loss.
local agent = ARGV[3]
if not is_agent(agent) then return 0 end
end_agent(agent, false)
commit()
return 1
