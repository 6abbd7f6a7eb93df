/** Snapshots that no branch or tag leads to: which they are, and what removing them asks of a commit. */
import type { Attempt } from './commitRetrying.ts'
import type { TableMetadata } from './metadata.ts'
import { refAt, sameTable } from './refs.ts'
import { lineOf } from './snapshot.ts'

/** Ids of the snapshots that a branch or tag is at, or that led there. */
export function reachableSnapshots(metadata: TableMetadata): Set<bigint> {
  const reached = new Set<bigint>()
  for (const ref of Object.values(metadata.refs)) {
    for (const { snapshotId } of lineOf(metadata, ref['snapshot-id'])) reached.add(snapshotId)
  }
  return reached
}

/** @param committedBefore milliseconds since the epoch; younger ones are left out */
export function unreachableSnapshots(metadata: TableMetadata, committedBefore: number): bigint[] {
  const reached = reachableSnapshots(metadata)
  return metadata.snapshots
    .filter((snapshot) => snapshot['timestamp-ms'] <= committedBefore)
    .map((snapshot) => snapshot['snapshot-id'])
    .filter((id) => !reached.has(id))
}

/** Requires every branch and tag to be where it was: a new one might lead to what is removed. */
export function removeSnapshots(metadata: TableMetadata, ids: readonly bigint[]): Attempt | null {
  if (ids.length === 0) return null
  const refs = Object.entries(metadata.refs)
  return {
    requirements: [sameTable(metadata), ...refs.map(([name, ref]) => refAt(name, ref['snapshot-id']))],
    updates: [{ action: 'remove-snapshots', 'snapshot-ids': ids }],
  }
}
