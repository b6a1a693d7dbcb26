-- The beginning of scripts that go on only if the token ARGV[1] holds the lease KEYS[2]. Else they answer 'written', 'deleted' or 'gone'.
local held = redis.call('GET', KEYS[2])
if held == 'written' or held == 'deleted' then
    return held
elseif held ~= ARGV[1] then
    return 'gone'
end
