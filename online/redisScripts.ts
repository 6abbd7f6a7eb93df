/** What Redis decides by itself, in one step that nothing can come between. */
import { script, type Script } from './redisConnection.ts'
import type { SlotPlace } from './store.ts'

/** What puts of values and of slots differ in. */
interface Putting {
  /** How many arguments stand before the values. */
  readonly before: number
  /** Lua that is run once. */
  readonly once?: string
  /** Makes `there`, the first sixteen bytes of what is stored. */
  readonly look: string
  /** Changes `left`, for how long the key is kept: nil for ever. */
  readonly keep?: string
  /** What is put. */
  readonly put: string
}

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
const putScript = ({ before, once = '', look, keep = '', put }: Putting) =>
  script(`
if ARGV[2] ~= '' and not string.find(redis.call('GET', KEYS[1]) or '', ARGV[2], 1, true) then return -1 end
local order, kept, least, buried = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local a, b, c, d = struct.unpack('>I4I4I4I4', order)
local written = 0
${once}
for index = 2, #KEYS do
  local key, value = KEYS[index], ARGV[index + ${before - 1}]
  ${look}
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
    ${keep}
    if left and left > 1e15 then left = nil end
    if wins then
      if left then redis.call('SET', key, ${put}, 'PX', left) else redis.call('SET', key, ${put}) end
      written = written + 1
    elseif left then redis.call('PEXPIRE', key, left)
    else redis.call('PERSIST', key) end
  end
end
return written`)

export const putWinners = putScript({
  before: 5,
  look: `local there = redis.call('GETRANGE', key, 0, 15)`,
  put: 'value',
})

/** Finds slot `at` of `of` in a shared value: where it begins, and its length. */
const placeOfSlot = (at: number, of: number) => `
local at, of = tonumber(ARGV[${at}]), tonumber(ARGV[${of}])
local function place(shared)
  local start = 2 + 4 * of
  for slot = 0, at - 1 do start = start + struct.unpack('>I4', shared, 2 + 4 * slot) end
  return start, (struct.unpack('>I4', shared, 2 + 4 * at))
end
local function with(shared, start, length, value)
  return string.sub(shared, 1, 1 + 4 * at) .. struct.pack('>I4', #value) ..
    string.sub(shared, 6 + 4 * at, start - 1) .. value .. string.sub(shared, start + length)
end`

/**
 * The same for a slot (`slots.ts`), whose place and how many there are stand before the values. Its key is kept for as
 * long as the slot needs that lives longest: nobody's stay is cut short.
 */
const putSlots = putScript({
  before: 7,
  once: `${placeOfSlot(6, 7)}
local none = string.char(of) .. string.rep(string.char(0), 4 * of)`,
  look: `local shared = redis.call('GET', key) or none
  local start, length = place(shared)
  local there = string.sub(shared, start, start + math.min(length, 16) - 1)`,
  keep: `local others = redis.call('PTTL', key)
    if left and others == -1 then left = nil elseif left then left = math.max(left, others) end`,
  put: 'with(shared, start, length, value)',
})

/** How rows are put: by which script, and what it is told behind what all are told. */
export const putting = (slot: SlotPlace | undefined): { script: Script; args: readonly string[] } =>
  slot === undefined ? { script: putWinners, args: [] } : { script: putSlots, args: placeArgs(slot) }

export const placeArgs = ({ at, of }: SlotPlace): string[] => [String(at), String(of)]

/**
 * Empties a slot in all shared values, removes those of which nothing is left then, and answers how many it was in.
 * `KEYS`: theirs. `ARGV`: the slot's place, and how many slots there are.
 */
export const emptySlots = script(`${placeOfSlot(1, 2)}
local emptied = 0
for _, key in ipairs(KEYS) do
  local shared = redis.call('GET', key)
  if shared then
    local start, length = place(shared)
    if length > 0 then
      local rest = with(shared, start, length, '')
      if #rest == 1 + 4 * of then redis.call('DEL', key) else redis.call('SET', key, rest, 'KEEPTTL') end
      emptied = emptied + 1
    end
  end
end
return emptied`)

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
