-- Frees the lease KEYS[1] if the token ARGV[1] holds it. Answers 1 or 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('DEL', KEYS[1])
