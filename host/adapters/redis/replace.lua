-- Stores ARGV[2] under KEYS[1] if that is a string which begins with ARGV[1]. Answers 1, 0 or Redis' error.
-- ARGV[3] is what becomes of the expiry: 'keep', 'never', or the life in milliseconds.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' then
    return 0
end
local length = #ARGV[1]
if length > 0 and redis.call('GETRANGE', KEYS[1], 0, length - 1) ~= ARGV[1] then
    return 0
end
-- pcall, because an error of call names this script and its line; callers get Redis' own words.
local done
if ARGV[3] == 'keep' then
    done = redis.pcall('SET', KEYS[1], ARGV[2], 'KEEPTTL')
elseif ARGV[3] == 'never' then
    done = redis.pcall('SET', KEYS[1], ARGV[2])
else
    done = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if done.err then
    return redis.error_reply(done.err)
end
return 1
