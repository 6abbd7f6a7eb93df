/** Snapshots: what they say of themselves, and the sums that they carry forward. */
import { randomBytes } from 'node:crypto'
import type { SnapshotEntry, TableMetadata } from './metadata.ts'
import type { DataFile } from './types.ts'

export interface Snapshot {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  /** Greater than that of every snapshot that was committed before, on whatever branch. */
  readonly sequenceNumber: bigint
  readonly timestampMs: number
  /** Counts are decimal text, as the specification has them. */
  readonly summary: Readonly<Record<string, string>>
  readonly manifestList: string
  readonly schemaId: number | null
}

export function snapshotOf(entry: SnapshotEntry): Snapshot {
  return {
    snapshotId: entry['snapshot-id'],
    parentSnapshotId: entry['parent-snapshot-id'] ?? null,
    sequenceNumber: entry['sequence-number'],
    timestampMs: entry['timestamp-ms'],
    summary: entry.summary,
    manifestList: entry['manifest-list'],
    schemaId: entry['schema-id'] ?? null,
  }
}

/** Null where it never was or has expired. */
export function findSnapshot(metadata: TableMetadata, id: bigint | null): Snapshot | null {
  const entry = metadata.snapshots.find((candidate) => candidate['snapshot-id'] === id)
  return entry ? snapshotOf(entry) : null
}

/** The snapshot, its parent, and so on, newest first, as far as they have not expired. */
export function lineOf(metadata: TableMetadata, id: bigint | null): Snapshot[] {
  const byId = new Map(metadata.snapshots.map((entry) => [entry['snapshot-id'], entry]))
  const line: Snapshot[] = []
  for (let entry = id === null ? undefined : byId.get(id); entry;) {
    line.push(snapshotOf(entry))
    byId.delete(entry['snapshot-id'])
    const parent = entry['parent-snapshot-id']
    entry = parent === undefined ? undefined : byId.get(parent)
  }
  return line
}

/** A random positive integer of 63 bits that the table does not have yet. */
export function newSnapshotId(metadata: TableMetadata): bigint {
  for (;;) {
    const id = randomBytes(8).readBigUInt64BE() >> 1n
    if (id > 0n && findSnapshot(metadata, id) === null) return id
  }
}

export interface SnapshotChange {
  readonly operation: 'append' | 'overwrite'
  readonly added: readonly DataFile[]
  readonly deleted: readonly DataFile[]
}

/**
 * What a snapshot changes and what the table then holds. Totals follow from the parent's, where it has them.
 * @param own what the caller wants to say; it cannot say otherwise about counts
 */
export function summaryOf(
  { operation, added, deleted }: SnapshotChange,
  parent: Snapshot | null,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const [came, went] = [sumsOf(added), sumsOf(deleted)]
  const counted = {
    'added-data-files': came.files,
    'added-records': came.records,
    'added-files-size': came.bytes,
    'deleted-data-files': went.files,
    'deleted-records': went.records,
    'removed-files-size': went.bytes,
    'changed-partition-count': BigInt(new Set([...added, ...deleted].map(partitionKey)).size),
  }
  const changed = Object.entries(counted).filter(([, count]) => count > 0n)
  const totals = [
    ['total-data-files', came.files - went.files],
    ['total-records', came.records - went.records],
    ['total-files-size', came.bytes - went.bytes],
    ['total-delete-files', 0n],
    ['total-position-deletes', 0n],
    ['total-equality-deletes', 0n],
  ] as const
  const carried = totals.flatMap(([key, change]): [string, bigint][] => {
    const before = parent === null ? '0' : parent.summary[key]
    return before === undefined ? [] : [[key, BigInt(before) + change]]
  })
  const counts = [...changed, ...carried].map(([key, count]) => [key, String(count)] as const)
  return { ...own, ...Object.fromEntries(counts), operation }
}

function sumsOf(files: readonly DataFile[]): { files: bigint; records: bigint; bytes: bigint } {
  return {
    files: BigInt(files.length),
    records: files.reduce((sum, { recordCount }) => sum + recordCount, 0n),
    bytes: files.reduce((sum, { fileSizeInBytes }) => sum + fileSizeInBytes, 0n),
  }
}

const partitionKey = ({ specId, partition }: DataFile): string =>
  `${specId}:${Object.values(partition)
    .map((value) => JSON.stringify(String(value)))
    .join()}`
