-- Adds ARGV[1] to the number under KEYS[1]. A new key lives for ARGV[2] milliseconds; for ever if that is empty.
-- Answers the sum as text, because a number of Lua holds 53 bits, or Redis' error.
local new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then
    return redis.error_reply(sum.err)
end
if new and ARGV[2] ~= '' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('GET', KEYS[1])
