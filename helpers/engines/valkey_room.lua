#!lua flags=allow-oom
-- One step in the life of a chat room. Valkey runs one script at a time and to its end,
-- so to number an event, to keep it and to publish it is one step for all servers. It
-- runs when memory is short, too (allow-oom), or nobody could leave any more: what it
-- keeps is bounded by the limits that it is told.
--
-- KEYS[1]  the rooms there are: name -> when something last happened (microseconds)
-- ARGV[1]  JSON: do (join, publish, snapshot or renew), server, prefix, room, the
--          limits, and for join and publish the event
--
-- Returns {'refused', code, what}, or {'done', message, number, members, history}.
-- A message, in the channel and in the history, is JSON: [number, to, payload, buried].
--
-- It makes the names of keys by itself, so it is for one Valkey, not for a cluster.

local rooms, ask = KEYS[1], cjson.decode(ARGV[1])
local event = ask.event

local function keys_of(name)
  local base = ask.prefix .. ':room:' .. name
  return {
    numbers = base .. ':numbers', -- of the room, and of each one's private messages
    members = base .. ':members', -- key of a name -> name, server, arrival
    history = base .. ':history',
    leases = base .. ':leases', -- server -> until when it counts as alive
    channel = base .. ':events',
  }
end

local room = keys_of(ask.room)

local time = redis.call('TIME') -- of Valkey: the servers' clocks may differ
local now = time[1] * 1000000 + time[2] -- microseconds

local function refuse(code, what)
  return { 'refused', code, tostring(what) }
end

local function find_member(key)
  local found = redis.call('HGET', room.members, key)
  return found and cjson.decode(found)
end

-- Number it by a counter of the room, and tell all who listen.
local function publish(counter, to, payload, buried)
  local number = redis.call('HINCRBY', room.numbers, counter, 1)
  local message = cjson.encode({ number, to, payload, buried })
  redis.call('PUBLISH', room.channel, message)
  return number, message
end

local function remove(key)
  redis.call('HDEL', room.members, key)
  redis.call('HDEL', room.numbers, 'to:' .. key)
end

-- The members of a server that lets its lease run out have left.
local function bury(server)
  local left = {}
  local all = redis.call('HGETALL', room.members)
  for i = 1, #all, 2 do
    local member = cjson.decode(all[i + 1])
    if member.server == server then
      table.insert(left, { key = all[i], name = member.name, arrival = member.arrival })
    end
  end
  table.sort(left, function(a, b) return a.arrival < b.arrival end)
  for _, member in ipairs(left) do
    remove(member.key)
    publish('room', '', cjson.encode({
      type = 'left', room = ask.room, name = member.name,
      at = math.floor(now / 1000) / 1000, -- milliseconds, as of all events
    }), server)
  end
  redis.call('ZREM', room.leases, server)
end

local function is_empty(other)
  return redis.call('HLEN', other.members) == 0
    or redis.call('ZCOUNT', other.leases, now, '+inf') == 0
end

local function forget_an_empty_room() -- the one that was quiet for the longest time
  for _, name in ipairs(redis.call('ZRANGE', rooms, 0, -1)) do
    local other = keys_of(name)
    if is_empty(other) then
      redis.call('DEL', other.numbers, other.members, other.history, other.leases)
      redis.call('ZREM', rooms, name)
      return true
    end
  end
  return false
end

local function renew()
  redis.call('ZADD', room.leases, now + ask.lease * 1000000, ask.server)
end

-- Each of these returns a refusal, or nothing and the message.
local apply = {}

function apply.joined()
  local taken = find_member(event.key)
  if taken then return refuse('name-taken', taken.name) end
  if redis.call('HLEN', room.members) >= ask.max_members then
    return refuse('room-full', ask.max_members)
  end
  local number, message = publish('room', '', event.payload)
  redis.call('HSET', room.members, event.key, cjson.encode({
    name = event.name, server = ask.server, arrival = number,
  }))
  renew()
  return nil, message
end

function apply.left()
  remove(event.key)
  local _, message = publish('room', '', event.payload)
  return nil, message
end

function apply.message()
  local _, message = publish('room', '', event.payload)
  redis.call('RPUSH', room.history, message)
  redis.call('LTRIM', room.history, -ask.history_limit, -1)
  if ask.history_limit == 0 then redis.call('DEL', room.history) end
  return nil, message
end

function apply.private()
  local reader = find_member(event.to_key)
  if not reader then return refuse('nobody-there', event.to) end
  local _, message = publish('to:' .. event.to_key, reader.name, event.payload)
  return nil, message
end

-- A server speaks for its own members only: a name may have gone to another one, after
-- its lease ran out and before it came to know.
local function is_member()
  local member = find_member(event.key)
  return member and member.server == ask.server
end

local function step()
  local here = redis.call('EXISTS', room.numbers) == 1
  if ask['do'] == 'join' and not here then
    if redis.call('ZCARD', rooms) >= ask.max_rooms and not forget_an_empty_room() then
      return refuse('too-many-rooms', ask.max_rooms)
    end
  elseif ask['do'] ~= 'renew' and not here then
    return refuse('no-room', ask.room)
  elseif ask['do'] == 'publish' and not is_member() then
    return refuse('not-a-member', event.name)
  end
  if ask['do'] == 'renew' then renew() end
  if not event then return nil, '' end
  redis.call('ZADD', rooms, now, ask.room)
  return apply[event.type]()
end

-- What is kept goes when nobody asked for it, nor renewed a lease, for so long.
local function keep()
  local milliseconds = ask.forget_after * 1000
  for _, key in ipairs({ rooms, room.numbers, room.members, room.history, room.leases }) do
    redis.call('PEXPIRE', key, milliseconds)
  end
end

for _, server in ipairs(redis.call('ZRANGEBYSCORE', room.leases, '-inf', now)) do
  bury(server)
end
local refused, message = step()
keep()
if refused then return refused end
if ask['do'] == 'publish' or ask['do'] == 'renew' then return { 'done', message } end
return {
  'done', message, redis.call('HGET', room.numbers, 'room') or '0',
  redis.call('HVALS', room.members), redis.call('LRANGE', room.history, 0, -1),
}
