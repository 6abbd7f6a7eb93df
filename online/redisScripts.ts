/** What Redis decides by itself, in one step that nothing can come between. */
import { script } from './redisConnection.ts'

/**
 * Puts the values whose order is greater than what is stored, and answers how many those were; -1 where the group has not
 * the life that the load began in any more, so that nothing is written behind one who drops it.
 *
 * `KEYS[1]`: the group's record, then the values' keys. `ARGV`: the order, 16 bytes; the life, empty for any; what in
 * milliseconds comes to an event timestamp for how long from now its value is kept (`expiry.ts`), empty for ever; for how
 * long it is kept at least; for how long a tombstone is; then one value a key. A value that is there already is kept anew.
 *
 * Lua compares strings by the server's locale and its numbers hold 53 bits, so the order is compared as four unsigned
 * 32-bit integers.
 */
export const putWinners = script(`
if ARGV[2] ~= '' and not string.find(redis.call('GET', KEYS[1]) or '', ARGV[2], 1, true) then return -1 end
local order, kept, least, buried = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local a, b, c, d = struct.unpack('>I4I4I4I4', order)
local written = 0
for at = 2, #KEYS do
  local key, value = KEYS[at], ARGV[at + 4]
  local there = redis.call('GETRANGE', key, 0, 15)
  local wins = #there < 16
  if not wins and there ~= order then
    local e, f, g, h = struct.unpack('>I4I4I4I4', there)
    if a ~= e then wins = a > e
    elseif b ~= f then wins = b > f
    elseif c ~= g then wins = c > g
    else wins = d > h end
  end
  if wins or there == order then
    local left = kept
    if string.byte(value, 18) % 2 == 1 then left = buried
    elseif kept then left = math.max(least, kept + math.floor(struct.unpack('>i8', value, 23) / 1000)) end
    if left and left > 1e15 then left = nil end
    if wins then
      if left then redis.call('SET', key, value, 'PX', left) else redis.call('SET', key, value) end
      written = written + 1
    elseif left then redis.call('PEXPIRE', key, left)
    else redis.call('PERSIST', key) end
  end
end
return written`)

export const otherLife = -1
export const swapped = 1
export const otherServer = -1

/**
 * Replaces a group's record, its version and when it was last updated if the record still is what the caller has read.
 *
 * `KEYS`: these three, or the first two. `ARGV`: the record that was read, empty for none; what shall stand there, empty for nothing; the
 * version of that; the last update, empty for none; the run id that the server must have, empty for any. Answers 1 when done, 0 when somebody
 * else was first, -1 when the server is another one.
 */
export const swapRecord = script(`
if ARGV[5] ~= '' and string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') ~= ARGV[5] then return -1 end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1], KEYS[2])
else
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('SET', KEYS[2], ARGV[3])
end
if KEYS[3] then
  if ARGV[4] == '' then redis.call('DEL', KEYS[3]) else redis.call('SET', KEYS[3], ARGV[4]) end
end
return 1`)
