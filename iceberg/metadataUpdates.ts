/**
 * Changes of a table's metadata in the vocabulary of the REST catalog: what must hold (requirements) and what is done
 * (updates). Both are pure, so a catalog that decides by itself and one that asks a server take the same commits.
 */
import { CommitConflict } from './errors.ts'
import {
  lastColumnId,
  mainBranch,
  type SnapshotEntry,
  type SnapshotRef,
  type TableMetadata,
} from './metadata.ts'
import { InvalidInput } from './singleValue.ts'
import type { Schema } from './types.ts'

export type Requirement =
  | { readonly type: 'assert-create' }
  | { readonly type: 'assert-table-uuid'; readonly uuid: string }
  /** Null: there is no such branch or tag. */
  | { readonly type: 'assert-ref-snapshot-id'; readonly ref: string; readonly 'snapshot-id': bigint | null }
  | { readonly type: 'assert-current-schema-id'; readonly 'current-schema-id': number }

export type Update =
  | { readonly action: 'add-schema'; readonly schema: Schema }
  /** -1: the schema that was added last. */
  | { readonly action: 'set-current-schema'; readonly 'schema-id': number }
  | { readonly action: 'add-snapshot'; readonly snapshot: SnapshotEntry }
  | ({ readonly action: 'set-snapshot-ref'; readonly 'ref-name': string } & SnapshotRef)
  | { readonly action: 'remove-snapshot-ref'; readonly 'ref-name': string }
  | { readonly action: 'remove-snapshots'; readonly 'snapshot-ids': readonly bigint[] }
  | { readonly action: 'set-properties'; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: 'remove-properties'; readonly removals: readonly string[] }

/** @throws CommitConflict where one does not hold; `metadata` is null for a table that does not exist. */
export function checkRequirements(
  metadata: TableMetadata | null,
  requirements: readonly Requirement[],
): void {
  for (const requirement of requirements) checkRequirement(metadata, requirement)
}

function checkRequirement(metadata: TableMetadata | null, requirement: Requirement): void {
  if (requirement.type === 'assert-create') {
    if (metadata === null) return
    throw new CommitConflict(`The table exists already, with uuid ${metadata['table-uuid']}.`)
  }
  if (metadata === null) throw new CommitConflict('The table does not exist.')
  switch (requirement.type) {
    case 'assert-table-uuid':
      if (metadata['table-uuid'] === requirement.uuid) return
      throw new CommitConflict(
        `The table's uuid is ${metadata['table-uuid']}, not ${requirement.uuid}: it was dropped and made again.`,
      )
    case 'assert-ref-snapshot-id': {
      const { ref, 'snapshot-id': expected } = requirement
      const found = snapshotIdOf(metadata, ref)
      if (found === expected) return
      throw new CommitConflict(
        `${ref} is at ${found ?? 'no snapshot'}, not at ${expected ?? 'no snapshot'}: another commit has moved it.`,
        { ref },
      )
    }
    case 'assert-current-schema-id':
      if (metadata['current-schema-id'] === requirement['current-schema-id']) return
      throw new CommitConflict(
        `The current schema is ${metadata['current-schema-id']}, not ${requirement['current-schema-id']}: another commit has changed it.`,
      )
  }
}

/** Where a branch or tag is; null where there is none of that name. */
export function snapshotIdOf(metadata: TableMetadata, ref: string): bigint | null {
  return Object.hasOwn(metadata.refs, ref) ? (metadata.refs[ref]?.['snapshot-id'] ?? null) : null
}

/**
 * The metadata after the updates, in their order.
 * @throws InvalidInput for an update that makes no sense, CommitConflict where a concurrent commit has taken the
 *   snapshot's sequence number
 */
export function applyUpdates(
  metadata: TableMetadata,
  updates: readonly Update[],
  nowMs: number,
): TableMetadata {
  // Clocks of several writers differ, and readers refuse a log that goes backwards.
  const updatedMs = Math.max(nowMs, metadata['last-updated-ms'])
  const changed = updates.reduce((current, update) => applyUpdate(current, update, updatedMs), metadata)
  return { ...changed, 'last-updated-ms': updatedMs }
}

function applyUpdate(metadata: TableMetadata, update: Update, nowMs: number): TableMetadata {
  switch (update.action) {
    case 'add-schema':
      return addSchema(metadata, update.schema)
    case 'set-current-schema':
      return setCurrentSchema(metadata, update['schema-id'])
    case 'add-snapshot':
      return addSnapshot(metadata, update.snapshot)
    case 'set-snapshot-ref':
      return setRef(metadata, update['ref-name'], refOf(update), nowMs)
    case 'remove-snapshot-ref':
      return removeRef(metadata, update['ref-name'])
    case 'remove-snapshots':
      return removeSnapshots(metadata, new Set(update['snapshot-ids']))
    case 'set-properties':
      return { ...metadata, properties: { ...metadata.properties, ...update.updates } }
    case 'remove-properties':
      return { ...metadata, properties: without(metadata.properties, update.removals) }
  }
}

function refOf(update: SnapshotRef): SnapshotRef {
  return {
    'snapshot-id': update['snapshot-id'],
    type: update.type,
    'max-ref-age-ms': update['max-ref-age-ms'],
    'max-snapshot-age-ms': update['max-snapshot-age-ms'],
    'min-snapshots-to-keep': update['min-snapshots-to-keep'],
  }
}

function without<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)))
}

function addSchema(metadata: TableMetadata, schema: Schema): TableMetadata {
  if (metadata.schemas.some((known) => known['schema-id'] === schema['schema-id'])) {
    throw new InvalidInput(`Schema ${schema['schema-id']} exists already. Take an id that is free.`)
  }
  return {
    ...metadata,
    schemas: [...metadata.schemas, schema],
    'last-column-id': Math.max(metadata['last-column-id'], lastColumnId(schema)),
  }
}

function setCurrentSchema(metadata: TableMetadata, id: number): TableMetadata {
  const wanted = id === -1 ? metadata.schemas.at(-1)?.['schema-id'] : id
  const schema = metadata.schemas.find((known) => known['schema-id'] === wanted)
  if (schema) return { ...metadata, 'current-schema-id': schema['schema-id'] }
  throw new InvalidInput(
    `There is no schema ${id}. The table has ${metadata.schemas.map((known) => known['schema-id']).join(', ')}.`,
  )
}

function addSnapshot(metadata: TableMetadata, snapshot: SnapshotEntry): TableMetadata {
  const { 'snapshot-id': id, 'sequence-number': sequenceNumber } = snapshot
  if (metadata.snapshots.some((known) => known['snapshot-id'] === id)) {
    throw new InvalidInput(`Snapshot ${id} is in the table already.`)
  }
  if (sequenceNumber <= metadata['last-sequence-number']) {
    throw new CommitConflict(
      `Snapshot ${id} has sequence number ${sequenceNumber}, but the table is at ${metadata['last-sequence-number']} already.`,
    )
  }
  return {
    ...metadata,
    snapshots: [...metadata.snapshots, snapshot],
    'last-sequence-number': sequenceNumber,
  }
}

function setRef(metadata: TableMetadata, name: string, ref: SnapshotRef, nowMs: number): TableMetadata {
  const id = ref['snapshot-id']
  if (!metadata.snapshots.some((known) => known['snapshot-id'] === id)) {
    throw new InvalidInput(`${name} cannot be set to snapshot ${id}, which the table does not have.`)
  }
  const changed = { ...metadata, refs: { ...metadata.refs, [name]: ref } }
  if (name !== mainBranch) return changed
  if (ref.type !== 'branch') throw new InvalidInput('main is a branch and cannot become a tag.')
  if (metadata['current-snapshot-id'] === id) return changed
  const logged = { 'timestamp-ms': nowMs, 'snapshot-id': id }
  return { ...changed, 'current-snapshot-id': id, 'snapshot-log': [...metadata['snapshot-log'], logged] }
}

function removeRef(metadata: TableMetadata, name: string): TableMetadata {
  const changed = { ...metadata, refs: without(metadata.refs, [name]) }
  if (name !== mainBranch) return changed
  return { ...changed, 'current-snapshot-id': undefined, 'snapshot-log': [] }
}

/**
 * The log of `main` starts after the last entry whose snapshot is gone: what is left of it has no holes. Statistics of
 * a snapshot go with it.
 */
function removeSnapshots(metadata: TableMetadata, ids: ReadonlySet<bigint>): TableMetadata {
  const held = Object.entries(metadata.refs).find(([, ref]) => ids.has(ref['snapshot-id']))
  if (held) {
    throw new InvalidInput(
      `Snapshot ${held[1]['snapshot-id']} cannot be removed while ${held[0]} is there. Remove that first.`,
    )
  }
  const log = metadata['snapshot-log']
  const lastGone = log.findLastIndex((entry) => ids.has(entry['snapshot-id']))
  return {
    ...metadata,
    snapshots: metadata.snapshots.filter((snapshot) => !ids.has(snapshot['snapshot-id'])),
    'snapshot-log': log.slice(lastGone + 1),
    ...statisticsWithout(metadata, ids),
  }
}

/** Only what the table has: a table without statistics gets no empty lists. */
function statisticsWithout(metadata: TableMetadata, ids: ReadonlySet<bigint>): Partial<TableMetadata> {
  const kept = (['statistics', 'partition-statistics'] as const).flatMap((key) => {
    const files = metadata[key]
    return files ? [[key, files.filter((file) => !ids.has(BigInt(file['snapshot-id'])))] as const] : []
  })
  return Object.fromEntries(kept)
}

/** How many earlier metadata files are kept, where the table does not say so itself. */
const defaultPreviousVersions = 100

/**
 * Notes the file that the new metadata replaces.
 * @returns the metadata to write, and the metadata files that it no longer names
 */
export function withPreviousFile(
  metadata: TableMetadata,
  previous: { readonly location: string; readonly updatedMs: number },
): { readonly metadata: TableMetadata; readonly obsolete: readonly string[] } {
  const asked = Number(metadata.properties['write.metadata.previous-versions-max'] ?? defaultPreviousVersions)
  const kept = Number.isInteger(asked) && asked > 0 ? asked : defaultPreviousVersions
  const entry = { 'timestamp-ms': previous.updatedMs, 'metadata-file': previous.location }
  const log = [...metadata['metadata-log'], entry]
  return {
    metadata: { ...metadata, 'metadata-log': log.slice(-kept) },
    obsolete: log.slice(0, -kept).map((gone) => gone['metadata-file']),
  }
}
