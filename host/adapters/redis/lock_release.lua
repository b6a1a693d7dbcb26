-- Frees the lock KEYS[1] if the token ARGV[1] holds it. Its fence stays. Answers 1 or 0.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
    return 0
end
return redis.call('DEL', KEYS[1])
