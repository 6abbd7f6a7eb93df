/**
 * Branches: what creating, dropping and publishing one asks of a commit. All of it is decided purely, on a state of the
 * table; null means that nothing is left to do.
 */
import type { Attempt } from './commitRetrying.ts'
import { CommitConflict } from './errors.ts'
import { mainBranch, type TableMetadata } from './metadata.ts'
import { snapshotIdOf, type Update } from './metadataUpdates.ts'
import { checkMaxRefAge, refAt, refNamed, removeRef, sameTable } from './refs.ts'
import { InvalidInput } from './singleValue.ts'
import { lineOf } from './snapshot.ts'

export interface BranchStart {
  /** Null: `main` has no snapshot yet, and the branch comes into being with its first commit. */
  readonly from: bigint | null
  /** After which an expiry may take the branch away. */
  readonly maxRefAgeMs?: number
}

/** @throws CommitConflict where there is a branch of that name elsewhere, or a tag */
export function createBranch(
  metadata: TableMetadata,
  name: string,
  { from, maxRefAgeMs }: BranchStart,
): Attempt | null {
  checkMaxRefAge(name, maxRefAgeMs)
  const there = refNamed(metadata, name)
  const id = there?.['snapshot-id'] ?? null
  if (id === from && there?.type !== 'tag') return null
  if (there !== null || from === null) {
    throw new CommitConflict(
      `There is a ${there?.type} ${name} already, at snapshot ${id}. Drop it first, or take another name.`,
      { ref: name },
    )
  }
  return {
    requirements: [sameTable(metadata), refAt(name, null)],
    updates: [setBranch(metadata, name, from, maxRefAgeMs)],
  }
}

/** @throws InvalidInput for `main`, and for a tag */
export function dropBranch(metadata: TableMetadata, name: string): Attempt | null {
  if (name === mainBranch) throw new InvalidInput('main cannot be dropped. Drop the table instead.')
  const there = refNamed(metadata, name)
  if (there === null) return null
  if (there.type === 'tag') {
    throw new InvalidInput(`${name} is a tag, not a branch. Drop it as a tag (dropTag).`)
  }
  return {
    requirements: [sameTable(metadata), refAt(name, there['snapshot-id'])],
    updates: [removeRef(name)],
  }
}

export interface Publish {
  readonly branch: string
  /** Where `main` was when the branch was judged; null: nowhere. */
  readonly expectMain: bigint | null
  readonly expectBranch: bigint
  /** Whether the branch goes away with the same commit. */
  readonly dropBranch?: boolean
  /** Table properties that the commit requires to be so. */
  readonly expectProperties?: Readonly<Record<string, string>>
}

/** @throws CommitConflict, whose `ref` says which of the two is not where it was expected */
export function publishBranch(metadata: TableMetadata, publish: Publish): Attempt | null {
  const { branch, expectMain, expectBranch } = publish
  const main = snapshotIdOf(metadata, mainBranch)
  // A tag that has taken the branch's name since is none of this publish's business.
  const staged = refNamed(metadata, branch)?.type === 'tag' ? null : snapshotIdOf(metadata, branch)
  const isPublished = lineOf(metadata, main).some(({ snapshotId }) => snapshotId === expectBranch)
  const drops = publish.dropBranch === true && staged === expectBranch && branch !== mainBranch
  if (isPublished && !drops) return null
  if (!isPublished) {
    refuseMoved(mainBranch, main, expectMain)
    refuseMoved(branch, staged, expectBranch)
    refuseForeign(metadata, branch, main)
    refuseOtherProperties(metadata, publish.expectProperties ?? {})
  }
  return {
    requirements: [sameTable(metadata), refAt(mainBranch, main), refAt(branch, staged)],
    updates: [
      ...(isPublished ? [] : [setBranch(metadata, mainBranch, expectBranch)]),
      ...(drops ? [removeRef(branch)] : []),
    ],
  }
}

function refuseMoved(ref: string, found: bigint | null, expected: bigint | null): void {
  if (found === expected) return
  throw new CommitConflict(
    `${ref} is at ${found ?? 'no snapshot'}, not at ${expected ?? 'no snapshot'}: another commit has moved it. Stage and judge again.`,
    { ref },
  )
}

/** The commit is made for this very metadata, so what is so here is so when main moves. */
function refuseOtherProperties(metadata: TableMetadata, expected: Readonly<Record<string, string>>): void {
  for (const [property, value] of Object.entries(expected)) {
    const found = metadata.properties[property]
    if (found === value) continue
    throw new CommitConflict(
      `The table's property ${property} is ${found ?? 'not there'}, not ${value}: somebody has changed it.`,
      { property },
    )
  }
}

/** Moving main to what does not descend from it would take published rows away. */
function refuseForeign(metadata: TableMetadata, branch: string, main: bigint | null): void {
  const line = lineOf(metadata, snapshotIdOf(metadata, branch))
  if (main === null || line.some(({ snapshotId }) => snapshotId === main)) return
  throw new CommitConflict(
    `Branch ${branch} does not descend from main's snapshot ${main}. Stage it again on today's main.`,
    { ref: branch },
  )
}

/**
 * Moves a branch, or makes it; one that is there keeps how long it is to live.
 * @throws InvalidInput for a tag, which never moves
 */
export function setBranch(
  metadata: TableMetadata,
  name: string,
  snapshotId: bigint,
  maxRefAgeMs?: number,
): Update {
  const there = refNamed(metadata, name)
  if (there?.type === 'tag') throw new InvalidInput(`${name} is a tag, and tags do not move. Name a branch.`)
  return {
    action: 'set-snapshot-ref',
    'ref-name': name,
    ...(maxRefAgeMs === undefined ? {} : { 'max-ref-age-ms': maxRefAgeMs }),
    ...there,
    type: 'branch',
    'snapshot-id': snapshotId,
  }
}
