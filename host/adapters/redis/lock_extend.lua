-- Begins the life of the lock KEYS[1] anew, for ARGV[2] ms, if the token ARGV[1] holds it, and that of its fence KEYS[2], for
-- ARGV[3] ms. Answers 1 or 0.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
