-- Takes tokens from the bucket KEYS[1].
-- ARGV: capacity, how it fills, microseconds for one token or one interval, tokens needed (fewer than none are put back),
--   tokens wanted, tokens spent without asking, tokens known to be missing if the bucket was forgotten.
-- Returns tokens given, whole tokens left, and microseconds until it is full and until what is needed is there (-1 for never).
local capacity, fills, period = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local need, want = tonumber(ARGV[4]), tonumber(ARGV[5])
local owed, lost = tonumber(ARGV[6]), tonumber(ARGV[7])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local state = redis.call('GET', KEYS[1])
local tokens, since
if state then
  tokens, since = string.match(state, '^([^:]+):(%d+)$')
  tokens, since = tonumber(tokens), tonumber(since)
end
if not tokens or not since then
  tokens, since = capacity - lost, now
  state = false
end

-- A clock that was set back stands still until it is where it was.
local passed = math.max(0, now - since)
if fills == 'continuous' then
  tokens = math.min(capacity, tokens + passed / period)
  since = math.max(since, now)
elseif fills == 'interval' then
  local over = math.floor(passed / period)
  tokens = math.min(capacity, tokens + over * capacity)
  since = since + over * period
  if tokens >= capacity then since = now end
end
tokens = tokens - owed

local given = 0
if need < 0 then
  given = need
  tokens = math.min(capacity, tokens - need)
elseif tokens >= need then
  given = math.max(need, math.min(want, math.floor(tokens)))
  tokens = tokens - given
end

local function time_for(missing)
  if missing <= 0 then return 0 end
  if fills == 'continuous' then return math.ceil(missing * period) end
  if fills == 'interval' and capacity > 0 then
    return math.max(0, math.ceil(since + math.ceil(missing / capacity) * period - now))
  end
  return -1
end

local full = time_for(capacity - tokens)
if given ~= 0 or owed ~= 0 or not state then
  -- The bucket is kept for as long as an empty one takes to fill, and ten seconds more; one that never does, for a year. Forgotten
  -- sooner, as after a reset, it would be told what replicas remember of the time before.
  local ttl, longest = 31622400000, math.max(full, time_for(capacity))
  if longest >= 0 then ttl = math.min(ttl, math.ceil(longest / 1000) + 10000) end
  redis.call('SET', KEYS[1], string.format('%.9f:%.0f', tokens, since), 'PX', string.format('%.0f', ttl))
end

local wait = 0
if given == 0 and need > 0 then
  wait = -1
  if need <= capacity then wait = time_for(need - tokens) end
end
return { given, math.max(0, math.floor(tokens)), full, wait }
