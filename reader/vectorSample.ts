/** One row of a service's answer as a sample: what was asked and what was served, with its types and bits. */
import type { EpochMs, OnDemandValue, ScalarType } from '../model/index.ts'
import {
  encodeFeature,
  encodeServiceSample,
  type FeatureValue,
  type GroupCursor,
  type KeyValue,
  type ServiceSample,
} from '../online/index.ts'
import type { AskedRows } from './body.ts'
import { lookupColumns } from './plan.ts'
import { moveTo, type ReadLookup, type Vectors } from './vectors.ts'

export const microsOf = (ms: EpochMs): bigint => BigInt(Math.round(ms * 1000))

/** Leaves the vectors' cursors at the row. */
export function vectorSample(service: string, vectors: Vectors, rows: AskedRows, row: number): Buffer {
  moveTo(vectors.lookups, row)
  return encodeServiceSample({
    ...{ kind: 'service', service, atMicros: microsOf(vectors.nowMs) },
    ...{ entities: askedEntities(vectors, rows, row), request: askedRequest(vectors, row) },
    lookups: vectors.lookups.map((lookup, at) => sampledLookup(vectors, lookup, at, row)),
    ...sampledValues(vectors, row),
  })
}

function askedEntities({ plan, lookups }: Vectors, { entities }: AskedRows, row: number) {
  const columns = plan.lookups.flatMap((lookup, at) =>
    lookupColumns(lookup, lookups[at]?.cursor.card.keys ?? []),
  )
  // Keys were read from them, so they are keys or null.
  return Object.fromEntries(
    columns.map((name) => [name, (entities.get(name)?.[row] ?? null) as KeyValue | null]),
  )
}

const askedRequest = ({ plan, request }: Vectors, row: number) =>
  Object.fromEntries(
    [...plan.request].map(([name, type]) => {
      return [name, encodeFeature({ name, type }, storedForm(type, request.get(name)?.[row] ?? null))]
    }),
  )

/** Functions see instants as milliseconds, with microseconds as their fraction. */
const storedForm = (type: ScalarType, value: OnDemandValue): FeatureValue =>
  type === 'timestamp' && typeof value === 'number' ? microsOf(value) : value

function sampledLookup(
  { plan }: Vectors,
  { cursor, complete, places, texts }: ReadLookup,
  at: number,
  row: number,
) {
  const { group, ttlMs } = cursor.card
  return {
    ...{ group, ttlMs, role: plan.lookups[at]?.role ?? null, snapshotId: complete.snapshotId },
    key: texts[places === null ? row : (places[row] ?? -1)] ?? null,
    eventTimestampMicros: cursor.eventTimestampMicros,
  }
}

type SampledValues = Pick<ServiceSample<Buffer>, 'features' | 'values' | 'statuses'>

function sampledValues({ plan, lookups, made }: Vectors, row: number): SampledValues {
  const stored = plan.stored.map(({ lookup, feature }) => {
    const { cursor } = lookups[lookup] as ReadLookup
    const { name, type } = cursor.features[feature] as GroupCursor['features'][number]
    return {
      feature: { name, type, lookup },
      value: bytesOf(cursor, feature),
      status: cursor.status(feature),
    }
  })
  const computed = plan.onDemand
    .flatMap((step) => step.made)
    .map((column, at) => {
      const value = made[row]?.[at] ?? null
      const { name, type } = column
      return {
        feature: { name, type, lookup: null },
        value: encodeFeature(column, value ?? column.default),
        status: value === null ? ('NULL_VALUE' as const) : ('PRESENT' as const),
      }
    })
  const all = [...stored, ...computed]
  return {
    features: all.map(({ feature }) => feature),
    values: all.map(({ value }) => value),
    statuses: all.map(({ status }) => status),
  }
}

function bytesOf(cursor: GroupCursor, feature: number): Buffer {
  const bytes = Buffer.allocUnsafe(cursor.sizeOf(feature))
  cursor.copyTo(bytes, 0, feature)
  return bytes
}
