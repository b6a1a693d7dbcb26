-- Makes KEYS[1] of the dump ARGV[3] with ARGV[2] ms to live (0: for ever) if the token ARGV[1] holds the lease KEYS[2], which goes on. Answers
-- 'adopted', 'taken' (KEYS[1] is there), Redis' error, or as lease_held.lua, which comes before.
if redis.call('EXISTS', KEYS[1]) == 1 then
    return 'taken'
end
-- pcall, because an error of call names this script and its line; callers get Redis' own words.
local done = redis.pcall('RESTORE', KEYS[1], ARGV[2], ARGV[3])
if done.err then
    return redis.error_reply(done.err)
end
return 'adopted'
