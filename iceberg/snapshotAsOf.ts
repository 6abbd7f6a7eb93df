/**
 * Time travel: which snapshot was `main`'s at a moment. The table's log says since when `main` has been where, which is
 * when a snapshot was published and not when it was staged.
 */
import type { TableMetadata } from './metadata.ts'
import { InvalidInput } from './singleValue.ts'
import { findSnapshot, type Snapshot } from './snapshot.ts'

/**
 * Of several that `main` was moved to in one millisecond it is the last.
 * @param ms milliseconds since the epoch, on the clock of the catalogs that committed
 * @returns null before the log begins, and where the snapshot of that time has expired
 */
export function snapshotAsOf(metadata: TableMetadata, ms: number): Snapshot | null {
  const entry = metadata['snapshot-log'].findLast((each) => each['timestamp-ms'] <= ms)
  return entry ? findSnapshot(metadata, entry['snapshot-id']) : null
}

/** @throws InvalidInput where there is none, which says from when on there is */
export function expectSnapshotAsOf(metadata: TableMetadata, table: string, asOf: number): Snapshot {
  if (!Number.isFinite(asOf)) {
    throw new InvalidInput(`A scan cannot be as of ${asOf}. Give milliseconds since the epoch.`)
  }
  const snapshot = snapshotAsOf(metadata, asOf)
  if (snapshot) return snapshot
  const next = metadata['snapshot-log'].find(
    (each) => each['timestamp-ms'] > asOf && findSnapshot(metadata, each['snapshot-id']) !== null,
  )
  const cure = next
    ? `The first moment after it that can be read is ${instant(next['timestamp-ms'])}.`
    : 'Its log is empty: nothing has been published yet.'
  throw new InvalidInput(`Table ${table} has no snapshot as of ${instant(asOf)}. ${cure}`)
}

/** Years that a date cannot hold stay the number that was given. */
function instant(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms since the epoch` : date.toISOString()
}
