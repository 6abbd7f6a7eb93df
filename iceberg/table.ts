/**
 * A table: its state when it was last read, and the commits that change it.
 *
 *     const table = await catalog.loadTable({ namespace: 'asof', name: 'airport_delays_v1' })
 *     await table.createBranch('staging', { from: table.ref('main') })
 *     const staged = await table.append({ ref: 'staging', files })
 *     await table.publish({ branch: 'staging', expectMain: table.ref('main'), expectBranch: staged.snapshotId })
 *
 * Every commit first reads the table anew, is tried again where another one was first, and leaves this object at the
 * state that it made. A snapshot's id is chosen once for all attempts, so that one whose answer was lost is found.
 */
import { addColumns } from './addColumns.ts'
import { checkFiles, currentSchema, specNumbered, writeAddedManifests } from './appendFiles.ts'
import {
  createBranch,
  dropBranch,
  publishBranch,
  setBranch,
  type BranchStart,
  type Publish,
} from './branches.ts'
import type { Catalog, TableState } from './catalog/catalog.ts'
import { commitRetrying, type Attempt } from './commitRetrying.ts'
import { CommitConflict } from './errors.ts'
import type { FileIO } from './fileio/fileio.ts'
import type { NewManifest } from './manifest.ts'
import { hasLiveFiles, readManifestList, type ManifestFile } from './manifestList.ts'
import { mainBranch, type TableMetadata } from './metadata.ts'
import { snapshotIdOf } from './metadataUpdates.ts'
import { refAt, sameTable } from './refs.ts'
import { removeSnapshots, unreachableSnapshots } from './removeUnreachable.ts'
import { RangeReplacement, type Replacement } from './replaceRanges.ts'
import type { Column } from './schema.ts'
import { findSnapshot, lineOf, newSnapshotId, snapshotOf, type Snapshot } from './snapshot.ts'
import { snapshotAsOf } from './snapshotAsOf.ts'
import { writeSnapshot, type SnapshotPlan } from './snapshotPlan.ts'
import { createTag, dropTag, expiredTags, removeTags, type TagTarget } from './tags.ts'
import type { DataFile, PartitionSpec, Schema, TableIdentifier } from './types.ts'

export interface TableParts {
  readonly catalog: Catalog
  readonly fileIO: FileIO
  readonly identifier: TableIdentifier
  readonly state: TableState
  readonly now: () => number
}

export interface Ref {
  readonly name: string
  readonly type: 'branch' | 'tag'
  readonly snapshotId: bigint
  readonly maxRefAgeMs: number | null
}

interface SnapshotTarget {
  /** A branch that is not there yet is cut from `main` with this commit. */
  readonly ref: string
  /** What the snapshot's summary says beside its counts. */
  readonly summary?: Readonly<Record<string, string>>
}

export type Append = SnapshotTarget & { readonly files: readonly DataFile[] }
export type ReplaceRanges = SnapshotTarget & Replacement

type PlanSnapshot = (metadata: TableMetadata, parents: readonly ManifestFile[]) => Promise<SnapshotPlan>

export class Table {
  readonly identifier: TableIdentifier
  readonly fileIO: FileIO
  readonly #catalog: Catalog
  readonly #now: () => number
  /** Branches that come into being with their first commit. */
  readonly #awaited = new Map<string, BranchStart>()
  #state: TableState

  constructor({ catalog, fileIO, identifier, state, now }: TableParts) {
    this.#catalog = catalog
    this.fileIO = fileIO
    this.identifier = identifier
    this.#state = state
    this.#now = now
  }

  get metadata(): TableMetadata {
    return this.#state.metadata
  }

  get metadataLocation(): string {
    return this.#state.metadataLocation
  }

  /** Without a slash at the end. */
  get location(): string {
    return this.metadata.location
  }

  get schema(): Schema {
    return currentSchema(this.metadata)
  }

  get spec(): PartitionSpec {
    return specNumbered(this.metadata, this.metadata['default-spec-id'])
  }

  /** Reads what others have committed. */
  async refresh(): Promise<this> {
    this.#state = await this.#catalog.currentState(this.identifier, this.#state)
    return this
  }

  /** The snapshot that a branch or tag is at; null where there is none of that name. */
  ref(name: string): bigint | null {
    return snapshotIdOf(this.metadata, name)
  }

  refs(): Ref[] {
    return Object.entries(this.metadata.refs).map(([name, ref]) => ({
      name,
      type: ref.type,
      snapshotId: ref['snapshot-id'],
      maxRefAgeMs: ref['max-ref-age-ms'] == null ? null : Number(ref['max-ref-age-ms']),
    }))
  }

  /** Null where it never was or has expired. */
  snapshot(id: bigint): Snapshot | null {
    return findSnapshot(this.metadata, id)
  }

  /**
   * The snapshot that `main` was at, at a moment (snapshotAsOf.ts).
   * @param ms milliseconds since the epoch
   * @returns null before anything that is still known was published
   */
  snapshotAsOf(ms: number): Snapshot | null {
    return snapshotAsOf(this.metadata, ms)
  }

  /** All that have not expired, in the order in which they were committed. */
  snapshots(): Snapshot[] {
    return this.metadata.snapshots.map(snapshotOf)
  }

  /** The snapshots that led to where a branch or tag is, that one first; none where there is none of that name. */
  ancestorsOf(ref: string): Snapshot[] {
    return lineOf(this.metadata, this.ref(ref))
  }

  /** Adds files; the manifests that are there are kept as they are. @throws InvalidInput for files that do not fit */
  async append({ ref, files, summary = {} }: Append): Promise<Snapshot> {
    checkFiles(this.metadata, files)
    const snapshotId = newSnapshotId(this.metadata)
    let added: NewManifest[] | undefined
    return this.#commitSnapshot(snapshotId, ref, summary, async (metadata, parents) => {
      added ??= await writeAddedManifests(this.fileIO, metadata, snapshotId, files)
      return {
        manifests: [...added, ...parents.filter(hasLiveFiles)],
        change: { operation: 'append', added: files, deleted: [] },
        ownFiles: [],
      }
    })
  }

  /**
   * Exchanges the rows in ranges of time for those of new files (replaceRanges.ts).
   * @throws InvalidInput for ranges or files that make no sense, Unsupported for a table with delete files
   */
  async replaceRanges({ ref, summary = {}, ...replacement }: ReplaceRanges): Promise<Snapshot> {
    const snapshotId = newSnapshotId(this.metadata)
    const planner = new RangeReplacement(this.fileIO, this.metadata, snapshotId, replacement)
    return this.#commitSnapshot(snapshotId, ref, summary, (metadata, parents) =>
      planner.plan(metadata, parents),
    )
  }

  /**
   * Adds optional columns by new field ids; no file is touched, and old ones read null there.
   * @throws InvalidInput for a required column, or one whose name is taken with another type
   */
  async addColumns(columns: readonly Column[]): Promise<void> {
    await this.#commit((metadata) => addColumns(metadata, columns))
  }

  /** Sets table properties; those that are so already cost no commit. */
  async setProperties(properties: Readonly<Record<string, string>>): Promise<void> {
    await this.#commit((metadata) => {
      const changed = Object.entries(properties).filter(
        ([name, value]) => metadata.properties[name] !== value,
      )
      if (changed.length === 0) return null
      return {
        requirements: [sameTable(metadata)],
        updates: [{ action: 'set-properties', updates: Object.fromEntries(changed) }],
      }
    })
  }

  /**
   * Cuts a branch from a snapshot. From null (`main` has none yet) it comes into being with its first commit through
   * this object. One that is at that snapshot already is fine.
   * @throws CommitConflict where there is one of that name elsewhere, or a tag
   */
  async createBranch(name: string, start: BranchStart): Promise<void> {
    await this.#commit((metadata) => createBranch(metadata, name, start))
    if (start.from === null) this.#awaited.set(name, start)
  }

  /** Forgets a branch and leaves its snapshots to expiry. One that is not there is fine. */
  async dropBranch(name: string): Promise<void> {
    this.#awaited.delete(name)
    await this.#commit((metadata) => dropBranch(metadata, name))
  }

  /**
   * Gives a snapshot a name that keeps it, with all its files. One that is at that snapshot already is fine, and is kept
   * for as long as is asked now.
   * @throws CommitConflict where the name is taken, InvalidInput where the table does not have the snapshot any more
   */
  async createTag(name: string, target: TagTarget): Promise<void> {
    await this.#commit((metadata) => createTag(metadata, name, target))
  }

  /** Forgets a tag and leaves its snapshot to expiry. One that is not there is fine. @throws InvalidInput for a branch */
  async dropTag(name: string): Promise<void> {
    await this.#commit((metadata) => dropTag(metadata, name))
  }

  /**
   * Forgets, in one commit, the tags whose snapshots have become older than they allow (tags.ts); branches stay.
   * @param nowMs milliseconds since the epoch on the catalog's clock
   * @returns their names
   */
  async expireTags(nowMs: number): Promise<string[]> {
    let expired: string[] = []
    await this.#commit((metadata) => {
      expired = expiredTags(metadata, nowMs)
      return removeTags(metadata, expired)
    })
    return expired
  }

  /**
   * Moves `main` to a branch's snapshot, in one commit. Where that is in main's line already, nothing is left to do
   * but to drop the branch.
   * @throws CommitConflict, whose `ref` says which of the two is not where it was expected, or `property` what is not so
   */
  async publish(publish: Publish): Promise<Snapshot> {
    const metadata = await this.#commit((newest) => publishBranch(newest, publish))
    return snapshotThere(metadata, publish.expectBranch)
  }

  /**
   * Removes, in one commit, the snapshots that no branch or tag leads to. Their files stay for a sweep (`sweepMetadata`).
   * @param committedBefore milliseconds since the epoch on the catalog's clock; younger snapshots stay
   * @returns how many were removed
   */
  async removeUnreachable({ committedBefore = Infinity } = {}): Promise<number> {
    let removed = 0
    await this.#commit((metadata) => {
      const ids = unreachableSnapshots(metadata, committedBefore)
      removed = ids.length
      return removeSnapshots(metadata, ids)
    })
    return removed
  }

  async #commitSnapshot(
    snapshotId: bigint,
    ref: string,
    summary: Readonly<Record<string, string>>,
    planSnapshot: PlanSnapshot,
  ): Promise<Snapshot> {
    let wasThere = false
    const committed = await this.#commit(async (metadata, attempt) => {
      if (findSnapshot(metadata, snapshotId)) return null
      const there = snapshotIdOf(metadata, ref)
      if (wasThere && there === null) {
        throw new CommitConflict(`Branch ${ref} was dropped while a commit to it was under way.`, { ref })
      }
      wasThere = there !== null
      const awaited = this.#awaited.get(ref)
      const moved = setBranch(metadata, ref, snapshotId, awaited?.maxRefAgeMs)
      const from = there ?? (awaited ? null : snapshotIdOf(metadata, mainBranch))
      const parent = from === null ? null : snapshotThere(metadata, from)
      const parents = parent ? await readManifestList(this.fileIO, parent.manifestList) : []
      const plan = await planSnapshot(metadata, parents)
      const next = { snapshotId, parent, attempt, summary, nowMs: this.#now() }
      const snapshot = await writeSnapshot(this.fileIO, metadata, plan, next)
      return {
        requirements: [sameTable(metadata), refAt(ref, there)],
        updates: [{ action: 'add-snapshot', snapshot }, moved],
        discard: () =>
          Promise.all([...plan.ownFiles, snapshot['manifest-list']].map((path) => this.fileIO.delete(path))),
      }
    })
    this.#awaited.delete(ref)
    return snapshotThere(committed, snapshotId)
  }

  /**
   * Makes an attempt on the newest state, again and again until one is first or nothing is left to do.
   * @returns the metadata in which it is done; others may use this object in the meantime
   */
  async #commit(
    prepare: (metadata: TableMetadata, attempt: number) => Attempt | null | Promise<Attempt | null>,
  ): Promise<TableMetadata> {
    let base = this.#state
    await commitRetrying(
      async (count) => {
        base = this.#state = await this.#catalog.currentState(this.identifier, this.#state)
        return prepare(base.metadata, count)
      },
      async ({ requirements, updates }) => {
        base = this.#state = await this.#catalog.commit(this.identifier, base, requirements, updates)
      },
    )
    return base.metadata
  }
}

function snapshotThere(metadata: TableMetadata, id: bigint): Snapshot {
  const snapshot = findSnapshot(metadata, id)
  if (snapshot) return snapshot
  throw new CommitConflict(`Snapshot ${id} is not in the table any more: it has been removed meanwhile.`)
}
