-- Stores ARGV[2] under KEYS[1] if the token ARGV[1] holds the lease KEYS[2], and ends the lease. ARGV[3] is what becomes of the
-- expiry: 'never', or the life in milliseconds. If a write ended the lease, removes the entry: nobody can say which is newer.
-- Answers OK, 'written', 'deleted', 'gone', or Redis' error. Each call within a script costs as much as a command, so the way on which
-- the lease is held has two; a lease that turns out to be somebody else's is put back, with ARGV[4] ms to live, as a renewal would.
local held = redis.call('GETDEL', KEYS[2])
if held == ARGV[1] then
    -- pcall, because an error of call names this script and its line; callers get Redis' own words.
    if ARGV[3] == 'never' then
        return redis.pcall('SET', KEYS[1], ARGV[2])
    end
    return redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
elseif not held then
    return 'gone'
end
redis.call('SET', KEYS[2], held, 'PX', ARGV[4])
if held == 'written' then
    redis.call('UNLINK', KEYS[1])
    return held
elseif held == 'deleted' then
    return held
end
return 'gone'
