/**
 * A table's metadata file (version 2): its form, how it is read and written, and the first one of a new table.
 *
 * In memory it is the file's own JSON, with snapshot ids and sequence numbers as bigints; what this module does not
 * know (what is in statistics files, for instance) is kept as it is. It changes by updates only, see metadataUpdates.ts.
 */
import { randomUUID } from 'node:crypto'
import { Corrupt, Unsupported } from './errors.ts'
import { parseJson, stringifyJson } from './json.ts'
import type { PartitionSpec, Schema } from './types.ts'

export const mainBranch = 'main'

export interface SnapshotEntry {
  readonly 'snapshot-id': bigint
  readonly 'parent-snapshot-id'?: bigint
  readonly 'sequence-number': bigint
  readonly 'timestamp-ms': number
  readonly 'manifest-list': string
  /** Holds `operation`. */
  readonly summary: Readonly<Record<string, string>>
  readonly 'schema-id'?: number
}

export interface SnapshotRef {
  readonly 'snapshot-id': bigint
  readonly type: 'branch' | 'tag'
  /** Java's "for ever" is 2^63 - 1, which no number holds. */
  readonly 'max-ref-age-ms'?: number | bigint
  readonly 'max-snapshot-age-ms'?: number
  readonly 'min-snapshots-to-keep'?: number
}

export interface SortOrder {
  readonly 'order-id': number
  readonly fields: readonly object[]
}

export interface TableMetadata {
  readonly 'format-version': 2
  readonly 'table-uuid': string
  readonly location: string
  readonly 'last-sequence-number': bigint
  readonly 'last-updated-ms': number
  readonly 'last-column-id': number
  readonly schemas: readonly Schema[]
  readonly 'current-schema-id': number
  readonly 'partition-specs': readonly PartitionSpec[]
  readonly 'default-spec-id': number
  readonly 'last-partition-id': number
  readonly 'sort-orders': readonly SortOrder[]
  readonly 'default-sort-order-id': number
  readonly properties: Readonly<Record<string, string>>
  /** Where `main` is; absent while nothing is published. */
  readonly 'current-snapshot-id'?: bigint
  readonly refs: Readonly<Record<string, SnapshotRef>>
  readonly snapshots: readonly SnapshotEntry[]
  /** Where `main` was, and from when. */
  readonly 'snapshot-log': readonly { readonly 'timestamp-ms': number; readonly 'snapshot-id': bigint }[]
  /** Earlier metadata files, oldest first. */
  readonly 'metadata-log': readonly { readonly 'timestamp-ms': number; readonly 'metadata-file': string }[]
  /** Written by other engines, and kept as they are. */
  readonly statistics?: readonly StatisticsFile[] | null
  readonly 'partition-statistics'?: readonly StatisticsFile[] | null
}

/** What is known here of a file with figures of one snapshot; the rest of its entry is kept as it is. */
export interface StatisticsFile {
  readonly 'snapshot-id': number | bigint
  readonly 'statistics-path': string
}

export interface NewTable {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly location: string
  readonly properties?: Readonly<Record<string, string>>
}

/** Metadata of a table without snapshots. Ids of columns and partition fields are kept as they are given. */
export function newTableMetadata(table: NewTable, nowMs: number): TableMetadata {
  const { schema, spec, location, properties = {} } = table
  return {
    'format-version': 2,
    'table-uuid': randomUUID(),
    location,
    'last-sequence-number': 0n,
    'last-updated-ms': nowMs,
    'last-column-id': lastColumnId(schema),
    schemas: [schema],
    'current-schema-id': schema['schema-id'],
    'partition-specs': [spec],
    'default-spec-id': spec['spec-id'],
    'last-partition-id': Math.max(noPartitionId, ...spec.fields.map((field) => field['field-id'])),
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    'default-sort-order-id': 0,
    properties,
    refs: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
  }
}

/** Partition fields count from 1000. */
const noPartitionId = 999

/** The greatest id in a schema, those of list elements included. */
export function lastColumnId(schema: Schema): number {
  return Math.max(
    0,
    ...schema.fields.flatMap(({ id, type }) => (typeof type === 'string' ? [id] : [id, type['element-id']])),
  )
}

/** @throws Unsupported for another format version, Corrupt where the text is no metadata. */
export function parseTableMetadata(text: string, location: string): TableMetadata {
  const json = parseObject(text, location)
  if (json['format-version'] !== 2) {
    throw new Unsupported(
      `${location} has format version ${String(json['format-version'])}; only version 2 is supported. Upgrade the table with the engine that made it.`,
    )
  }
  for (const key of requiredKeys) {
    if (json[key] === undefined || json[key] === null) throw new Corrupt(`${location} has no ${key}.`)
  }
  const stored = json as unknown as StoredMetadata
  const current = optionalId(stored['current-snapshot-id'])
  return {
    ...stored,
    'last-sequence-number': BigInt(stored['last-sequence-number']),
    properties: stored.properties ?? {},
    'current-snapshot-id': current,
    refs: parseRefs(stored.refs, current),
    snapshots: (stored.snapshots ?? []).map((snapshot) => ({
      ...snapshot,
      'snapshot-id': BigInt(snapshot['snapshot-id']),
      'parent-snapshot-id': optionalId(snapshot['parent-snapshot-id']),
      'sequence-number': BigInt(snapshot['sequence-number'] ?? 0),
    })),
    'snapshot-log': (stored['snapshot-log'] ?? []).map((entry) => ({
      ...entry,
      'snapshot-id': BigInt(entry['snapshot-id']),
    })),
    'metadata-log': stored['metadata-log'] ?? [],
  }
}

const requiredKeys = [
  'table-uuid',
  'location',
  'last-sequence-number',
  'last-updated-ms',
  'last-column-id',
  'schemas',
  'current-schema-id',
  'partition-specs',
  'default-spec-id',
] as const

/** An integer as JSON gives it: a bigint only where it is too long for a number. */
type JsonId = number | bigint

type Stored<T, Ids extends keyof T> = Omit<T, Ids> & { readonly [id in Ids]: JsonId }

/** The file as other writers may have left it: optional parts missing or null, ids of any length. */
interface StoredMetadata extends Omit<
  TableMetadata,
  | 'last-sequence-number'
  | 'properties'
  | 'current-snapshot-id'
  | 'refs'
  | 'snapshots'
  | 'snapshot-log'
  | 'metadata-log'
> {
  readonly 'last-sequence-number': JsonId
  readonly properties?: TableMetadata['properties'] | null
  readonly 'current-snapshot-id'?: JsonId | null
  readonly refs?: Readonly<Record<string, Stored<SnapshotRef, 'snapshot-id'>>> | null
  readonly snapshots?:
    | readonly (Omit<Stored<SnapshotEntry, 'snapshot-id'>, 'parent-snapshot-id' | 'sequence-number'> & {
        readonly 'parent-snapshot-id'?: JsonId | null
        readonly 'sequence-number'?: JsonId
      })[]
    | null
  readonly 'snapshot-log'?: readonly Stored<TableMetadata['snapshot-log'][number], 'snapshot-id'>[] | null
  readonly 'metadata-log'?: TableMetadata['metadata-log'] | null
}

function parseObject(text: string, location: string): Readonly<Record<string, unknown>> {
  try {
    const json = parseJson(text)
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>
  } catch (error) {
    throw new Corrupt(`${location} is no JSON.`, { cause: error })
  }
  throw new Corrupt(`${location} holds no JSON object.`)
}

/** Java writes -1 for "none", PyIceberg null. */
function optionalId(id: JsonId | null | undefined): bigint | undefined {
  return id === undefined || id === null || BigInt(id) === -1n ? undefined : BigInt(id)
}

/** Tables from before branches existed have no refs, only a current snapshot. */
function parseRefs(refs: StoredMetadata['refs'], current: bigint | undefined): TableMetadata['refs'] {
  const parsed = Object.entries(refs ?? {}).map(([name, ref]): [string, SnapshotRef] => [
    name,
    { ...ref, 'snapshot-id': BigInt(ref['snapshot-id']) },
  ])
  const all = Object.fromEntries(parsed)
  if (current === undefined || Object.hasOwn(all, mainBranch)) return all
  return { ...all, [mainBranch]: { 'snapshot-id': current, type: 'branch' } }
}

export const stringifyTableMetadata = (metadata: TableMetadata): string => stringifyJson(metadata)
