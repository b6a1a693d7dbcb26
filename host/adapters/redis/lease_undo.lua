-- Removes KEYS[1] and ends the lease KEYS[2] if the token ARGV[1] holds it. Answers 1 or 0.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
    return 0
end
redis.call('UNLINK', KEYS[1])
return redis.call('DEL', KEYS[2])
