/**
 * What tells in a Redis Cluster that a node holds all of a load, and not what is left of it: one mark for each of 1,024
 * stretches of sixteen slots, `<store>:<group>:\{tag}`, where the tag lies in the stretch. No key text has a brace behind a
 * backslash, so no entity has such a key.
 *
 * A mark is the order of the last complete load, sixteen bytes, and the life of the group's card. It is put when the load's
 * last value is, so a node that lost values (restarted empty, or a replica that took over without the end of the stream)
 * has lost the mark, too, or has an older one. Of order 0 is the mark of a group that is being loaded for the first time.
 */
import { keySlot, slotCount } from './keySlot.ts'
import { storageKey } from './key.ts'
import { script } from './redisConnection.ts'
import { orderBytes } from './value.ts'

export const markCount = 1_024
const slotsPerMark = slotCount / markCount

/** A text in each of the stretches, and the slot that it lies in. */
const tags: readonly string[] = (() => {
  const found: string[] = []
  let missing = markCount
  for (let number = 0; missing > 0; number++) {
    const stretch = Math.floor(keySlot(String(number)) / slotsPerMark)
    if (found[stretch] !== undefined) continue
    found[stretch] = String(number)
    missing--
  }
  return found
})()

const markName = '\\{'

export const isMark = (name: string): boolean => name.startsWith(markName)

/** In which slot the mark of a stretch lies. */
export const markSlot = (stretch: number): number => keySlot(tags[stretch] ?? '')

export const markKey = (store: string, group: string, stretch: number): string =>
  storageKey(store, group, `${markName}${tags[stretch]}}`)

export const markKeys = (store: string, group: string): string[] =>
  Array.from({ length: markCount }, (_, stretch) => markKey(store, group, stretch))

/**
 * Beside the group's record: which master it lay with when the last load ended. Under another one it may lack its end, and
 * with it loads that have begun or ended since.
 */
export const reignKey = (store: string, group: string): string =>
  storageKey(store, group, `${markName}${store}:${group}}`)

export const encodeMark = (order: Buffer, life: string): Buffer => Buffer.concat([order, Buffer.from(life)])

/** Whether a mark says that everything up to an order is there, in this life. */
export function covers(mark: Buffer | null, order: Buffer, life: string): boolean {
  return isOfLife(mark, life) && mark !== null && mark.compare(order, 0, orderBytes, 0, orderBytes) >= 0
}

export const isOfLife = (mark: Buffer | null, life: string): boolean =>
  mark?.toString('latin1', orderBytes) === life

/** Puts a mark, unless one of this life is there that is as great. `KEYS[1]`: the mark. `ARGV[1]`: what shall stand there. */
export const putMark = script(`
local there, new = redis.call('GET', KEYS[1]), ARGV[1]
if there and string.sub(there, 17) == string.sub(new, 17) then
  local a, b, c, d = struct.unpack('>I4I4I4I4', new)
  local e, f, g, h = struct.unpack('>I4I4I4I4', there)
  local wins = d > h
  if a ~= e then wins = a > e elseif b ~= f then wins = b > f elseif c ~= g then wins = c > g end
  if not wins then return 0 end
end
redis.call('SET', KEYS[1], new)
return 1`)
