/**
 * The format of a served sample: one MessagePack map that any library reads, with all that is needed to judge it later but
 * the schemas of stored values, which the online store keeps by tag. Instants are microseconds since the epoch as int64.
 *
 * Of a group, for one entity that was asked for:
 *
 * | field | type | what |
 * |---|---|---|
 * | `version` | int | 1 |
 * | `kind` | string | `group` |
 * | `at` | int64 | when it was served, on the store's clock: the instant by which ttl was judged |
 * | `key` | string | the entity's key text (`key.ts`) |
 * | `value` | bytes, nil | the stored value as it was found (`value.ts`), a tombstone too; nil where there was none |
 * | `snapshot_id` | string | the snapshot of the last complete load, as the group's card said then |
 * | `ttl_ms` | int64, nil | the group's ttl then; nil where it has none |
 *
 * Of a service, for one row of a request:
 *
 * | field | type | what |
 * |---|---|---|
 * | `version`, `at` | | as above |
 * | `kind`, `service` | string | `service`, and its name |
 * | `entities` | map | the key columns as they were asked: strings, int64 (or its digits), nil |
 * | `request` | map | request values of on-demand features, each as a stored value of its type (`body.ts`) |
 * | `groups` | array of maps | of each lookup `feature_group`, `role` (or nil), `key` (nil where a key was null), `event_timestamp` (nil where nothing was found), `snapshot_id`, `ttl_ms` |
 * | `features` | array of maps | the vector's columns: `name` (of the feature, without its group or role), `type`, `group` (index into `groups`; nil for what was computed on demand) |
 * | `values` | array | by feature what was served, defaults filled in, each as a stored value of its type |
 * | `statuses` | array of strings | by feature |
 */
import { Packr, Unpackr } from 'msgpackr'
import { IntegrityError, type FeatureType } from '../model/index.ts'
import type { ValueStatus } from './cursor.ts'
import { readingsOf, type EntityReading } from './read.ts'
import type { FeatureValue, GroupFound, KeyValue } from './store.ts'

export const sampleVersion = 1

export interface GroupSample {
  readonly kind: 'group'
  readonly atMicros: bigint
  readonly key: string
  readonly value: Buffer | null
  readonly snapshotId: string
  readonly ttlMs: number | null
}

export interface SampledLookup {
  readonly group: string
  readonly role: string | null
  readonly key: string | null
  readonly eventTimestampMicros: bigint | null
  readonly snapshotId: string
  readonly ttlMs: number | null
}

export interface SampledFeature {
  readonly name: string
  readonly type: FeatureType
  /** Index of its lookup; null for one that was computed on demand. */
  readonly lookup: number | null
}

export interface ServiceSample<Value = FeatureValue> {
  readonly kind: 'service'
  readonly atMicros: bigint
  readonly service: string
  readonly entities: Readonly<Record<string, KeyValue | null>>
  readonly request: Readonly<Record<string, Value>>
  readonly lookups: readonly SampledLookup[]
  readonly features: readonly SampledFeature[]
  readonly values: readonly Value[]
  readonly statuses: readonly ValueStatus[]
}

export type Sample = GroupSample | ServiceSample

/** A copy: stored values are pieces of larger buffers, which a sample must not keep. */
export const encodeGroupSample = (sample: GroupSample): Buffer =>
  packMap({
    ...packedHead(sample),
    key: pack(sample.key),
    value: pack(sample.value),
    snapshot_id: pack(sample.snapshotId),
    ttl_ms: packInt(sample.ttlMs),
  })

/** @param sample with values that are MessagePack already, so that they keep their types and bits */
export const encodeServiceSample = (sample: ServiceSample<Buffer>): Buffer =>
  packMap({
    ...packedHead(sample),
    service: pack(sample.service),
    entities: packMap(
      mapped(sample.entities, (value) => (typeof value === 'number' ? packInt(value) : pack(value))),
    ),
    request: packMap(sample.request),
    groups: packArray(sample.lookups.map(packLookup)),
    features: packArray(sample.features.map(({ name, type, lookup }) => pack({ name, type, group: lookup }))),
    values: packArray(sample.values),
    statuses: pack(sample.statuses),
  })

const packedHead = ({ kind, atMicros }: Pick<Sample, 'kind' | 'atMicros'>) => ({
  version: pack(sampleVersion),
  kind: pack(kind),
  at: pack(atMicros),
})

const packLookup = ({ group, role, key, eventTimestampMicros, snapshotId, ttlMs }: SampledLookup) =>
  packMap({
    ...{ feature_group: pack(group), role: pack(role), key: pack(key) },
    ...{ event_timestamp: pack(eventTimestampMicros), snapshot_id: pack(snapshotId), ttl_ms: packInt(ttlMs) },
  })

/** @throws IntegrityError where the bytes are no sample, or one of a format that this version does not know */
export function decodeSample(bytes: Buffer): Sample {
  const written = unpacked(bytes)
  if (written.version !== sampleVersion) throw refuse(`format version ${String(written.version)}`)
  const atMicros = written.at
  if (written.kind === 'group') {
    const { key, value, snapshot_id: snapshotId, ttl_ms: ttl } = written
    return { kind: 'group', atMicros, key, value, snapshotId, ttlMs: ttl === null ? null : Number(ttl) }
  }
  const { kind, service, entities, request, values, statuses } = written
  return {
    ...{ kind, atMicros, service, entities, request, values, statuses },
    lookups: written.groups.map(({ ttl_ms: ttl, ...lookup }) => ({
      ...{ group: lookup.feature_group, role: lookup.role, key: lookup.key, snapshotId: lookup.snapshot_id },
      ...{ eventTimestampMicros: lookup.event_timestamp, ttlMs: ttl === null ? null : Number(ttl) },
    })),
    features: written.features.map(({ name, type, group: lookup }) => ({ name, type, lookup })),
  }
}

/**
 * What a reader makes of a sampled value at the instant of the sample.
 *
 * @param found the group with its schemas; which values it holds does not matter
 */
export function judgeSample(found: GroupFound, sample: GroupSample): EntityReading {
  const then = { ...found, card: { ...found.card, ttlMs: sample.ttlMs }, values: [sample.value] }
  const [reading] = readingsOf(then, Number(sample.atMicros / 1000n))
  return reading as EntityReading
}

interface WrittenLookup {
  readonly feature_group: string
  readonly role: string | null
  readonly key: string | null
  readonly event_timestamp: bigint | null
  readonly snapshot_id: string
  readonly ttl_ms: bigint | null
}

interface WrittenHead {
  readonly version: unknown
  readonly at: bigint
}

interface WrittenGroup extends WrittenHead {
  readonly kind: 'group'
  readonly key: string
  readonly value: Buffer | null
  readonly snapshot_id: string
  readonly ttl_ms: bigint | null
}

interface WrittenService extends WrittenHead {
  readonly kind: 'service'
  readonly service: string
  readonly entities: ServiceSample['entities']
  readonly request: ServiceSample['request']
  readonly groups: readonly WrittenLookup[]
  readonly features: readonly {
    readonly name: string
    readonly type: FeatureType
    readonly group: number | null
  }[]
  readonly values: ServiceSample['values']
  readonly statuses: ServiceSample['statuses']
}

const packr = new Packr({ useRecords: false, mapsAsObjects: true })
const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: 'bigint',
  copyBuffers: true,
})

const pack = (value: unknown): Buffer => packr.pack(value)

/** As int64, however small: a library that has several kinds of numbers reads one kind. */
const packInt = (value: number | null): Buffer => pack(value === null ? null : BigInt(value))

const packMap = (fields: Readonly<Record<string, Buffer>>): Buffer => {
  const entries = Object.entries(fields)
  return Buffer.concat([
    header(0x80, 0xde, entries.length),
    ...entries.flatMap(([name, bytes]) => [pack(name), bytes]),
  ])
}

const packArray = (items: readonly Buffer[]): Buffer =>
  Buffer.concat([header(0x90, 0xdc, items.length), ...items])

const header = (short: number, long: number, length: number): Buffer =>
  length < 16 ? Buffer.of(short | length) : Buffer.of(long, length >> 8, length & 0xff)

const mapped = <From, To>(
  record: Readonly<Record<string, From>>,
  map: (one: From) => To,
): Record<string, To> => Object.fromEntries(Object.entries(record).map(([name, one]) => [name, map(one)]))

function unpacked(bytes: Buffer): WrittenGroup | WrittenService {
  let written: unknown
  try {
    written = unpackr.unpack(bytes)
  } catch {
    throw refuse(`${bytes.length} bytes that are no MessagePack`)
  }
  const isSample = typeof written === 'object' && written !== null && 'version' in written
  if (!isSample) throw refuse('something else')
  return written as WrittenGroup | WrittenService
}

const refuse = (found: string): IntegrityError =>
  new IntegrityError(
    `served sample: ${found}, expected format version ${sampleVersion}. Drop the samples; the reader writes new ones.`,
  )
