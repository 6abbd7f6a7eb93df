/**
 * Which data files of a snapshot a query has to read.
 *
 *     const { schema, files } = await planScan(table, { filter: { column: 'origin', op: 'eq', value: 'SFO' } })
 *
 * What was published at a moment is read with `asOf`: `planScan(table, { asOf: Date.UTC(2001, 6, 1) })`.
 *
 * Files whose partition or bounds rule the filter out are left away; those that are left hold other rows too.
 */
import { currentSchema, schemaNumbered, specNumbered } from './appendFiles.ts'
import { Unsupported } from './errors.ts'
import { readManifest } from './manifest.ts'
import { hasLiveFiles, readManifestList, type ManifestFile } from './manifestList.ts'
import { mainBranch } from './metadata.ts'
import { checkFilter, fileMightMatch, manifestMightMatch, type Filter } from './mightMatch.ts'
import { refNamed } from './refs.ts'
import { InvalidInput } from './singleValue.ts'
import type { Snapshot } from './snapshot.ts'
import { expectSnapshotAsOf } from './snapshotAsOf.ts'
import type { Table } from './table.ts'
import type { DataFile, Schema } from './types.ts'

/** At most one of `ref`, `snapshotId` and `asOf`. */
export interface ScanOptions {
  /** A branch or tag; `main` by default. */
  readonly ref?: string
  /** A snapshot on any branch, or on none any more. */
  readonly snapshotId?: bigint
  /** What `main` was at this moment, in milliseconds since the epoch. */
  readonly asOf?: number
  readonly filter?: Filter
}

export interface Scan {
  /** Null while nothing is published. */
  readonly snapshot: Snapshot | null
  /** Of the snapshot, where one was asked for, by its id, a tag or a time; of the table now, for a branch. */
  readonly schema: Schema
  readonly files: readonly DataFile[]
}

/** Manifests in memory at once. */
const manifestsAtOnce = 8

/**
 * @throws InvalidInput for a ref, snapshot, time or column that there is not; Unsupported for a table with delete files,
 *   whose rows would come back
 */
export async function planScan(table: Table, options: ScanOptions = {}): Promise<Scan> {
  const { metadata } = table
  const snapshot = snapshotToScan(table, options)
  const schemaId = isOnBranch(table, options) ? null : (snapshot?.schemaId ?? null)
  const schema = schemaId === null ? currentSchema(metadata) : schemaNumbered(metadata, schemaId)
  const filter = options.filter ?? { op: 'and', filters: [] }
  checkFilter(schema, filter)
  if (snapshot === null) return { snapshot, schema, files: [] }
  const live = (await readManifestList(table.fileIO, snapshot.manifestList)).filter(hasLiveFiles)
  live.forEach(refuseDeletes)
  const spec = (file: { readonly specId: number }) => specNumbered(metadata, file.specId)
  const manifests = live.filter((manifest) => manifestMightMatch(manifest, spec(manifest), schema, filter))
  const files: DataFile[] = []
  for (let first = 0; first < manifests.length; first += manifestsAtOnce) {
    const some = manifests.slice(first, first + manifestsAtOnce)
    const read = await Promise.all(
      some.map((manifest) => readManifest(table.fileIO, manifest, spec(manifest))),
    )
    const alive = read.flat().filter(({ status }) => status !== 'deleted')
    files.push(
      ...alive.map(({ file }) => file).filter((file) => fileMightMatch(file, spec(file), schema, filter)),
    )
  }
  return { snapshot, schema, files }
}

function isOnBranch({ metadata }: Table, { ref, snapshotId, asOf }: ScanOptions): boolean {
  if (snapshotId !== undefined || asOf !== undefined) return false
  return refNamed(metadata, ref ?? mainBranch)?.type !== 'tag'
}

function snapshotToScan(table: Table, options: ScanOptions): Snapshot | null {
  const { ref, snapshotId, asOf } = options
  const asked = (['ref', 'snapshotId', 'asOf'] as const).filter((name) => options[name] !== undefined)
  if (asked.length > 1) {
    throw new InvalidInput(`A scan takes one of ref, snapshotId and asOf, not ${asked.join(' and ')}.`)
  }
  if (asOf !== undefined) return expectSnapshotAsOf(table.metadata, table.identifier.name, asOf)
  if (snapshotId !== undefined) {
    const snapshot = table.snapshot(snapshotId)
    if (snapshot) return snapshot
    throw new InvalidInput(`Table ${table.identifier.name} has no snapshot ${snapshotId}, or no longer.`)
  }
  const name = ref ?? mainBranch
  const id = table.ref(name)
  if (id === null && name !== mainBranch) {
    const known = table.refs().map((each) => each.name)
    throw new InvalidInput(
      `Table ${table.identifier.name} has no branch or tag ${JSON.stringify(name)}, but ${known.join(', ') || 'none at all'}.`,
    )
  }
  return id === null ? null : table.snapshot(id)
}

function refuseDeletes(manifest: ManifestFile): void {
  if (manifest.content === 'data') return
  throw new Unsupported(
    `The table has delete files (${manifest.path}), which are not supported. Compact it with the engine that wrote them.`,
  )
}
