/** Vectors as MessagePack: values as they are stored, event timestamps as microseconds. */
import { encodeFeature } from '../online/index.ts'
import { packed, Packer } from './packer.ts'
import type { Tally } from './tally.ts'
import { moveTo, type StoredPlace, type Vectors } from './vectors.ts'
import { packVectorsHead } from './vectorsHead.ts'

const results = packed('results')

const statusBytes = {
  PRESENT: packed('PRESENT'),
  NULL_VALUE: packed('NULL_VALUE'),
  NOT_FOUND: packed('NOT_FOUND'),
  OUTSIDE_MAX_AGE: packed('OUTSIDE_MAX_AGE'),
} as const

/** @param tally of the stored places, in their order */
export function vectorsPacked(vectors: Vectors, stored: readonly StoredPlace[], tally: Tally): Buffer {
  const { plan, lookups, rows } = vectors
  const made = plan.onDemand.flatMap((step) => step.made)
  const frame = frameOf(stored.length + made.length, lookups.length)
  const packer = new Packer()
  packVectorsHead(packer, vectors, 1)
  packer.raw(results)
  packer.array(rows)
  for (let row = 0; row < rows; row++) {
    moveTo(lookups, row)
    const values = vectors.made[row] ?? []
    packer.raw(frame.beforeValues)
    writeStored(packer, stored)
    made.forEach((column, at) => packer.raw(encodeFeature(column, values[at] ?? column.default)))
    if (tally.row() && !values.includes(null)) packer.raw(frame.allPresent)
    else {
      packer.raw(frame.beforeStatuses)
      for (const { cursor, feature } of stored) packer.raw(statusBytes[cursor.status(feature)])
      for (const value of values) packer.raw(value === null ? statusBytes.NULL_VALUE : statusBytes.PRESENT)
      packer.raw(frame.beforeTimes)
    }
    packer.room(9 * lookups.length)
    for (const { cursor } of lookups) packer.at = cursor.copyEventTimestampTo(packer.bytes, packer.at)
  }
  return packer.done()
}

/** What every row has around its values. */
interface Frame {
  readonly beforeValues: Buffer
  readonly beforeStatuses: Buffer
  readonly beforeTimes: Buffer
  /** From behind the values to the times, where every status is PRESENT. */
  readonly allPresent: Buffer
}

const frames = new Map<string, Frame>()

/** There are as many as services have shapes. */
function frameOf(columns: number, lookups: number): Frame {
  const id = `${columns} ${lookups}`
  const there = frames.get(id)
  if (there !== undefined) return there
  const bytesOf = (write: (packer: Packer) => void) => {
    const packer = new Packer()
    write(packer)
    return packer.done()
  }
  const beforeStatuses = bytesOf((packer) => {
    packer.value('statuses')
    packer.array(columns)
  })
  const beforeTimes = bytesOf((packer) => {
    packer.value('event_timestamps')
    packer.array(lookups)
  })
  const statuses = Array.from({ length: columns }, () => statusBytes.PRESENT)
  const frame = {
    ...{ beforeStatuses, beforeTimes },
    beforeValues: bytesOf((packer) => {
      packer.map(3)
      packer.value('values')
      packer.array(columns)
    }),
    allPresent: Buffer.concat([beforeStatuses, ...statuses, beforeTimes]),
  }
  if (frames.size < 1000) frames.set(id, frame)
  return frame
}

/** What stands one behind the other in a value is copied at once. */
function writeStored(packer: Packer, stored: readonly StoredPlace[]): void {
  for (let at = 0; at < stored.length;) {
    const { cursor, feature, together } = stored[at] as StoredPlace
    const count = Math.min(together, cursor.runFrom(feature))
    if (count > 1) {
      packer.room(cursor.runSize(feature, count))
      packer.at = cursor.copyRunTo(packer.bytes, packer.at, feature, count)
    } else {
      packer.room(cursor.sizeOf(feature))
      packer.at = cursor.copyTo(packer.bytes, packer.at, feature)
    }
    at += Math.max(count, 1)
  }
}
