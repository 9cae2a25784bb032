-- One look at the bans that are shared: tells what is new, and reads what others have if there is anything.
-- KEYS[1]: a hash of who is shut out, with the time of its end in milliseconds; `#epoch` and `#version` are no addresses.
-- ARGV: the epoch and version that are known, the most addresses, the number of those to set, these with their milliseconds, and
-- then those to lift.
local key = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local sets = tonumber(ARGV[4])
local changed, full, purged = false, 0, false

-- What holds, with the milliseconds that are left; what is over goes.
local function held_bans()
  local all, bans = redis.call('HGETALL', key), {}
  for at = 1, #all, 2 do
    local who, ends = all[at], tonumber(all[at + 1])
    if string.sub(who, 1, 1) ~= '#' then
      if ends > now then
        bans[#bans + 1] = who
        bans[#bans + 1] = string.format('%.0f', ends - now)
      else
        redis.call('HDEL', key, who)
      end
    end
  end
  return bans
end

local function is_full()
  local function no_room() return redis.call('HLEN', key) >= tonumber(ARGV[3]) end
  if not no_room() then return false end
  if not purged then
    purged = true
    held_bans()
  end
  return no_room()
end

for at = 1, sets do
  local who, left = ARGV[3 + 2 * at], tonumber(ARGV[4 + 2 * at])
  local held = tonumber(redis.call('HGET', key, who) or 0)
  if held == 0 and is_full() then
    full = 1
  else
    if held < now + left then
      redis.call('HSET', key, who, string.format('%.0f', now + left))
      changed = true
    end
    -- The key lives a minute longer than its last ban.
    if redis.call('PTTL', key) < left + 60000 then
      redis.call('PEXPIRE', key, string.format('%.0f', left + 60000))
    end
  end
end
for at = 5 + 2 * sets, #ARGV do
  if redis.call('HDEL', key, ARGV[at]) == 1 then
    changed = true
  end
end

if redis.call('EXISTS', key) == 0 then
  return {'', '0', full, {}}
end
if changed then
  redis.call('HSETNX', key, '#epoch', time[1] .. '.' .. time[2])
  redis.call('HINCRBY', key, '#version', 1)
end
local epoch = redis.call('HGET', key, '#epoch') or ''
local version = redis.call('HGET', key, '#version') or '0'
if epoch == ARGV[1] and version == ARGV[2] then
  return {epoch, version, full, false}
end
return {epoch, version, full, held_bans()}
