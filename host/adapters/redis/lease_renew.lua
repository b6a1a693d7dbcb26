-- Begins the life of the lease KEYS[1] anew with ARGV[2] ms if the token ARGV[1] holds it. Answers 1 or 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
