-- Takes the lock KEYS[1] for the token ARGV[1] of the owner ARGV[2] for ARGV[3] ms, if nobody holds it. KEYS[2] is its last
-- fence, kept for ARGV[4] ms. Answers {1, fence} or {0, ms that are left to the holder}; numbers as text, as they may be large.
if redis.call('EXISTS', KEYS[1]) == 1 then
    return {'0', tostring(redis.call('PTTL', KEYS[1]))}
end
if redis.call('EXISTS', KEYS[2]) == 0 then
    -- A fence that is gone begins at the wall time: no lock changes hands a thousand times per second for all its life, so
    -- this is above every earlier fence, whatever was lost.
    local now = redis.call('TIME')
    redis.call('SET', KEYS[2], now[1] .. string.format('%03d', math.floor(now[2] / 1000)))
end
redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local fence = redis.call('GET', KEYS[2])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'owner', ARGV[2], 'fence', fence)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'1', fence}
