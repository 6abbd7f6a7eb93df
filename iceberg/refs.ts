/** What branches and tags share: looking one up, and what a commit says of one. */
import type { SnapshotRef, TableMetadata } from './metadata.ts'
import type { Requirement, Update } from './metadataUpdates.ts'
import { InvalidInput } from './singleValue.ts'

/** Null where there is no branch or tag of that name. */
export function refNamed(metadata: TableMetadata, name: string): SnapshotRef | null {
  return Object.hasOwn(metadata.refs, name) ? (metadata.refs[name] ?? null) : null
}

export const sameTable = (metadata: TableMetadata): Requirement => ({
  type: 'assert-table-uuid',
  uuid: metadata['table-uuid'],
})

/** Null: there is no such branch or tag. */
export const refAt = (ref: string, snapshotId: bigint | null): Requirement => ({
  type: 'assert-ref-snapshot-id',
  ref,
  'snapshot-id': snapshotId,
})

export const removeRef = (name: string): Update => ({ action: 'remove-snapshot-ref', 'ref-name': name })

/** Other engines refuse to read a whole table for one age that is not positive. @throws InvalidInput for such a one */
export function checkMaxRefAge(name: string, maxRefAgeMs: number | undefined): void {
  if (maxRefAgeMs === undefined || (Number.isSafeInteger(maxRefAgeMs) && maxRefAgeMs > 0)) return
  throw new InvalidInput(
    `${name} cannot be kept for ${maxRefAgeMs} ms. Give a whole number of milliseconds above 0, or none.`,
  )
}
