-- Moves the collection KEYS[3] with its expiry to KEYS[1] if the token ARGV[1] holds the lease KEYS[2], and ends the lease. Answers 'adopted',
-- 'nothing' (no collection is there), 'taken' (KEYS[1] is there), or as lease_held.lua, which comes before.
local kind = redis.call('TYPE', KEYS[3]).ok
if kind == 'none' or kind == 'string' then
    return 'nothing'
end
if redis.call('RENAMENX', KEYS[3], KEYS[1]) == 0 then
    return 'taken'
end
redis.call('DEL', KEYS[2])
return 'adopted'
