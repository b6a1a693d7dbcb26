-- Removes KEYS[1] if it is a string which begins with ARGV[1]. Answers 1 or 0.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' then
    return 0
end
local length = #ARGV[1]
if length > 0 and redis.call('GETRANGE', KEYS[1], 0, length - 1) ~= ARGV[1] then
    return 0
end
return redis.call('UNLINK', KEYS[1])
