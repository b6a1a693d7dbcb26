-- Stores ARGV[2] under KEYS[1] if the token ARGV[1] holds the lease KEYS[2], and ends the lease. ARGV[3] is what becomes of the
-- expiry: 'never', or the life in milliseconds. If a write ended the lease, removes the entry: nobody can say which is newer.
-- Answers 'stored', 'written', 'deleted', 'gone', or Redis' error.
local held = redis.call('GET', KEYS[2])
if held == 'written' then
    redis.call('UNLINK', KEYS[1])
    return held
elseif held == 'deleted' then
    return held
elseif held ~= ARGV[1] then
    return 'gone'
end
-- pcall, because an error of call names this script and its line; callers get Redis' own words.
local done
if ARGV[3] == 'never' then
    done = redis.pcall('SET', KEYS[1], ARGV[2])
else
    done = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if done.err then
    return redis.error_reply(done.err)
end
redis.call('DEL', KEYS[2])
return 'stored'
