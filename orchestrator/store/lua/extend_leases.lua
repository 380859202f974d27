-- What all scripts share that write or judge a lease: none is judged by a time when nobody could
-- renew. Who writes one asks first, or a jump of the clock backwards would move the new one, too.
-- When neither a sweep nor a renewal was heard for a while, Redis or everyone was away, or its clock
-- has jumped: every lease gets that time back, but never more than a whole lease from now. A time
-- in which others renewed gives nothing back, so a death isn't covered by the end of a leader.
-- While nothing is active agents renew longer leases seldom: `quiet` is what is then to be expected.
-- What follows the lease is written along, as fields and values.

local function give_time_back(lease, ...)
  local known = call('HMGET', P .. ':sweep', 'heard', 'quiet')
  local gap = NOW - tonumber(known[1] or NOW)
  -- Someone is heard each second, so a shorter lease can do with less.
  local patience = math.max(math.min(3000, 0.6 * lease), tonumber(known[2] or 0))
  if gap > patience or gap < 0 then
    for _, kind in ipairs({ ':agents', ':owners' }) do
      local leases = call('ZRANGE', P .. kind, 0, -1, 'WITHSCORES')
      for i = 1, #leases, 2 do
        local ends = tonumber(leases[i + 1]) + gap
        if gap > 0 then ends = math.min(ends, math.max(NOW + lease, tonumber(leases[i + 1]))) end
        call('ZADD', P .. kind, string.format('%.0f', ends), leases[i])
      end
    end
  end
  call('HSET', P .. ':sweep', 'heard', NOW_MS, ...)
end
