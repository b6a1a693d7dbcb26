-- Removes KEYS[1] if its dump is ARGV[1]. Answers 1 or 0.
if redis.call('DUMP', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('UNLINK', KEYS[1])
