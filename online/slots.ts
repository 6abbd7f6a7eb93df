/**
 * The values that slots share: what is stored of one entity for all groups of a pre-joined service, the same bytes in every
 * store.
 *
 * | bytes | what | written as |
 * |---|---|---|
 * | 0 | how many slots | u8 |
 * | 1 + 4n .. 4 + 4n | length of slot n, 0 where it is empty | u32, big-endian |
 * | behind them | the slots, one behind the other | values (`value.ts`) |
 *
 * A slot is a whole value with its own order, schema and event timestamp, so each is written, judged and decoded as if it
 * lay alone. One that is empty was never loaded for this entity; a tombstone is not empty. `redisScripts.ts` reads and
 * writes the same in Lua.
 */
import { IntegrityError } from '../model/index.ts'
import type { SlotPlace } from './store.ts'

const lengthBytes = 4
const lengthAt = (slot: number) => 1 + lengthBytes * slot

/** The slot's own bytes, without a copy; null where it is empty. */
export function slotOf(shared: Buffer, place: SlotPlace): Buffer | null {
  const { start, length } = placeOf(shared, place)
  return length === 0 ? null : shared.subarray(start, start + length)
}

/** The shared value with another slot in its place. @param shared null where nothing is stored yet */
export function withSlot(shared: Buffer | null, place: SlotPlace, value: Buffer): Buffer {
  const before = shared ?? noSlots(place)
  const { start, length } = placeOf(before, place)
  const after = Buffer.allocUnsafe(before.length - length + value.length)
  before.copy(after, 0, 0, start)
  after.writeUInt32BE(value.length, lengthAt(place.at))
  value.copy(after, start)
  before.copy(after, start + value.length, start + length)
  return after
}

/** The shared value with an empty slot; null where all of them are empty then. */
export function withoutSlot(shared: Buffer, place: SlotPlace): Buffer | null {
  const after = withSlot(shared, place, empty)
  return after.length === lengthAt(place.of) ? null : after
}

const empty = Buffer.alloc(0)
const noSlots = ({ of }: SlotPlace) => Buffer.concat([Buffer.from([of])], lengthAt(of))

/** @throws IntegrityError where the bytes are no value of so many slots */
function placeOf(shared: Buffer, { at, of }: SlotPlace): { start: number; length: number } {
  const first = lengthAt(of)
  if (shared[0] !== of || shared.length < first) {
    throw new IntegrityError(
      `online value: ${shared.length} bytes that begin with ${shared[0]}, expected ${of} slots. Drop the groups of the service, and load them again.`,
    )
  }
  let start = first
  for (let slot = 0; slot < at; slot++) start += shared.readUInt32BE(lengthAt(slot))
  return { start, length: shared.readUInt32BE(lengthAt(at)) }
}
