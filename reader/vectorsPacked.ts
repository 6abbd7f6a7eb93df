/** Vectors as MessagePack: values as they are stored, event timestamps as microseconds. */
import { encodeFeature, type GroupCursor } from '../online/index.ts'
import { packed, Packer } from './packer.ts'
import { moveTo, type ReadLookup, type Vectors } from './vectors.ts'
import { vectorsHead } from './vectorsHead.ts'

const names = {
  values: packed('values'),
  statuses: packed('statuses'),
  eventTimestamps: packed('event_timestamps'),
}
const statusBytes = {
  PRESENT: packed('PRESENT'),
  NULL_VALUE: packed('NULL_VALUE'),
  NOT_FOUND: packed('NOT_FOUND'),
  OUTSIDE_MAX_AGE: packed('OUTSIDE_MAX_AGE'),
} as const

interface Place {
  readonly cursor: GroupCursor
  readonly feature: number
}

export function vectorsPacked(vectors: Vectors): Buffer {
  const { plan, lookups, rows } = vectors
  const stored = plan.stored.map(({ lookup, feature }): Place => {
    return { cursor: (lookups[lookup] as ReadLookup).cursor, feature }
  })
  const made = plan.onDemand.flatMap((step) => step.made)
  const columns = stored.length + made.length
  const allPresent = Buffer.concat(Array.from({ length: columns }, () => statusBytes.PRESENT))
  const packer = new Packer()
  packer.head(vectorsHead(vectors), 'results')
  packer.array(rows)
  for (let row = 0; row < rows; row++) {
    moveTo(lookups, row)
    const values = vectors.made[row] ?? []
    packer.map(3)
    packer.raw(names.values)
    packer.array(columns)
    for (const place of stored) writeStored(packer, place)
    made.forEach((column, at) => packer.raw(encodeFeature(column, values[at] ?? column.default)))
    packer.raw(names.statuses)
    packer.array(columns)
    const isPresent = stored.every(({ cursor, feature }) => cursor.isAt(feature)) && !values.includes(null)
    if (isPresent) packer.raw(allPresent)
    else {
      for (const { cursor, feature } of stored) packer.raw(statusBytes[cursor.status(feature)])
      for (const value of values) packer.raw(value === null ? statusBytes.NULL_VALUE : statusBytes.PRESENT)
    }
    packer.raw(names.eventTimestamps)
    packer.array(lookups.length)
    for (const { cursor } of lookups) packer.int64(cursor.eventTimestampMicros)
  }
  return packer.done()
}

function writeStored(packer: Packer, { cursor, feature }: Place): void {
  packer.room(cursor.sizeOf(feature))
  packer.at = cursor.copyTo(packer.bytes, packer.at, feature)
}
