-- Takes the lease KEYS[2] of the entry KEYS[1] for the token ARGV[1] for ARGV[2] ms, if nobody holds it and the entry is what was
-- seen: absent if ARGV[3] is empty, else a string that begins with it. Answers -1 (taken), -2 (another entry), or the ms that are
-- left to the holder.
local held = redis.call('GET', KEYS[2])
if held and held ~= 'written' and held ~= 'deleted' then
    local left = redis.call('PTTL', KEYS[2])
    -- One without an expiry is not of any host.
    if left >= 0 then
        return left
    end
end
local kind = redis.call('TYPE', KEYS[1]).ok
if #ARGV[3] == 0 then
    if kind ~= 'none' then
        return -2
    end
elseif kind ~= 'string' or redis.call('GETRANGE', KEYS[1], 0, #ARGV[3] - 1) ~= ARGV[3] then
    return -2
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return -1
