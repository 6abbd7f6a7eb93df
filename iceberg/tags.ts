/**
 * Tags: names for snapshots, which never move. What creating, dropping and expiring them asks of a commit is decided
 * purely, on a state of the table; null means that nothing is left to do.
 *
 *     await table.createTag('training_2001_07', { snapshotId, maxRefAgeMs: 365 * 86_400_000 })
 *     await table.expireTags(Date.now())
 *     await table.removeUnreachable()
 *
 * A snapshot that a tag is at stays, with all its files, for as long as the tag does.
 */
import type { Attempt } from './commitRetrying.ts'
import { CommitConflict } from './errors.ts'
import { mainBranch, type SnapshotRef, type TableMetadata } from './metadata.ts'
import { checkMaxRefAge, refAt, refNamed, removeRef, sameTable } from './refs.ts'
import { InvalidInput } from './singleValue.ts'
import { findSnapshot } from './snapshot.ts'

export interface TagTarget {
  readonly snapshotId: bigint
  /**
   * How old the snapshot may get, counted from its own timestamp and not from when it is tagged. By default what the
   * table's property `history.expire.max-ref-age-ms` says, and without one for ever.
   */
  readonly maxRefAgeMs?: number
}

/**
 * One that is at that snapshot already takes the age that is asked for now, so that whoever asks for "for ever" gets it.
 * @throws CommitConflict where the name is taken, by a tag elsewhere or a branch; InvalidInput where the snapshot is not
 *   in the table
 */
export function createTag(
  metadata: TableMetadata,
  name: string,
  { snapshotId, maxRefAgeMs }: TagTarget,
): Attempt | null {
  if (name === mainBranch)
    throw new InvalidInput('main is a branch and cannot become a tag. Take another name.')
  checkMaxRefAge(name, maxRefAgeMs)
  const there = refNamed(metadata, name)
  if (there !== null && (there.type !== 'tag' || there['snapshot-id'] !== snapshotId)) {
    throw new CommitConflict(
      `There is a ${there.type} ${name} already, at snapshot ${there['snapshot-id']}. Drop it first, or take another name.`,
      { ref: name },
    )
  }
  if (there !== null && there['max-ref-age-ms'] === maxRefAgeMs) return null
  if (findSnapshot(metadata, snapshotId) === null) {
    throw new InvalidInput(
      `Snapshot ${snapshotId} cannot be tagged ${name}: the table does not have it, or no longer. Tag one of those that it has.`,
    )
  }
  const age = maxRefAgeMs === undefined ? {} : { 'max-ref-age-ms': maxRefAgeMs }
  return {
    requirements: [sameTable(metadata), refAt(name, there?.['snapshot-id'] ?? null)],
    updates: [
      { action: 'set-snapshot-ref', 'ref-name': name, type: 'tag', 'snapshot-id': snapshotId, ...age },
    ],
  }
}

/** @throws InvalidInput for a branch */
export function dropTag(metadata: TableMetadata, name: string): Attempt | null {
  const there = refNamed(metadata, name)
  if (there === null) return null
  if (there.type !== 'tag') {
    throw new InvalidInput(`${name} is a branch, not a tag. Drop it as a branch (dropBranch).`)
  }
  return removeTags(metadata, [name])
}

/**
 * Names of the tags whose snapshot is older than they allow. Step 2 of the specification's snapshot retention policy
 * (format/spec.md) removes "any refs (other than main) where the referenced snapshot is older than max-ref-age-ms"; a
 * snapshot of exactly that age is kept, as Iceberg's own RemoveSnapshots does. Branches are left to those who work on
 * them: one that waits for a decision is as old as the snapshot that it was cut from.
 */
export function expiredTags(metadata: TableMetadata, nowMs: number): string[] {
  return Object.entries(metadata.refs)
    .filter(([, ref]) => {
      const snapshot = findSnapshot(metadata, ref['snapshot-id'])
      return ref.type === 'tag' && snapshot !== null && nowMs - snapshot.timestampMs > maxAgeOf(metadata, ref)
    })
    .map(([name]) => name)
}

/** A property that is no age keeps everything. */
function maxAgeOf(metadata: TableMetadata, ref: SnapshotRef): number | bigint {
  const byDefault = Number(metadata.properties['history.expire.max-ref-age-ms'])
  return ref['max-ref-age-ms'] ?? (byDefault > 0 ? byDefault : Infinity)
}

export function removeTags(metadata: TableMetadata, names: readonly string[]): Attempt | null {
  if (names.length === 0) return null
  const there = names.map((name) => refAt(name, refNamed(metadata, name)?.['snapshot-id'] ?? null))
  return { requirements: [sameTable(metadata), ...there], updates: names.map(removeRef) }
}
