-- A task that has lost its worker twice may be what ends workers. It runs alone, so that the third
-- loss is nobody else's; where nobody is free for a minute, it is taken like any other.

function rare.must_wait(job, agent)
  if NOW - (tonumber(job.since) or 0) > 60000 then return false end
  flush()
  -- The evaluation that waits for a shard may be where it runs.
  local waiting = job.is_shard and job.g.jobs .. string.match(job.number, '^s(%d+)')
  for _, member in ipairs(call('SMEMBERS', agent_key(agent) .. ':held')) do
    if not string.find(member, '/', 1, true) and member ~= waiting then return true end
  end
  return false
end

-- Whether the suspect that this agent took last still runs.
function rare.runs_alone(agent, id)
  local job = load_job(id)
  if job and job.state == 'running' and job.agent == agent then return true end
  call('HDEL', agent_key(agent), 'alone')
  return false
end
