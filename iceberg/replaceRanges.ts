/**
 * Replaces the rows of a table that lie in ranges of time: live files inside are dropped, files outside stay where
 * they are, and files across an edge are exchanged for ones that hold only their rows outside.
 *
 * Only manifests with such files are written anew; the others are carried as they are.
 */
import {
  checkFiles,
  currentSchema,
  newManifestPath,
  specNumbered,
  writeAddedManifests,
} from './appendFiles.ts'
import { Unsupported } from './errors.ts'
import type { FileIO } from './fileio/fileio.ts'
import { readManifest, writeManifest, type ManifestEntry, type NewManifest } from './manifest.ts'
import { hasLiveFiles, type ManifestFile } from './manifestList.ts'
import { manifestMightMatch } from './mightMatch.ts'
import type { TableMetadata } from './metadata.ts'
import { InvalidInput } from './singleValue.ts'
import type { SnapshotPlan } from './snapshotPlan.ts'
import { checkTimeColumn, hasRowOutside, mergeRanges, placeOf, type Place } from './timeRanges.ts'
import type { DataFile, MicrosRange } from './types.ts'

export interface Replacement {
  /** A timestamptz column. */
  readonly column: string
  /** `after < v <= upTo`, microseconds since the epoch. */
  readonly ranges: readonly MicrosRange[]
  /** The new rows; all of them inside the ranges. */
  readonly files: readonly DataFile[]
  /** New files with the rows of a file that lie in none of the ranges; called once for a file, however many attempts. */
  readonly rewriteOutside: (file: DataFile) => Promise<readonly DataFile[]>
}

type PlacedEntry = ManifestEntry & { readonly place: Place }

/** Plans each attempt of one replacement; what does not depend on the table's state is done once. */
export class RangeReplacement {
  readonly #fileIO: FileIO
  readonly #snapshotId: bigint
  readonly #replacement: Replacement
  readonly #ranges: readonly MicrosRange[]
  readonly #rewritten = new Map<string, readonly DataFile[]>()

  /** @throws InvalidInput for ranges or files that make no sense */
  constructor(fileIO: FileIO, metadata: TableMetadata, snapshotId: bigint, replacement: Replacement) {
    this.#fileIO = fileIO
    this.#snapshotId = snapshotId
    this.#replacement = replacement
    checkTimeColumn(currentSchema(metadata), replacement.column)
    this.#ranges = mergeRanges(replacement.ranges)
    checkFiles(metadata, replacement.files)
    const stray = replacement.files.find((file) =>
      hasRowOutside(file, currentSchema(metadata), replacement.column, this.#ranges),
    )
    if (stray) {
      throw new InvalidInput(
        `${stray.filePath} has rows whose ${replacement.column} lies outside the ranges that are replaced. Doing the same again would double them.`,
      )
    }
  }

  async plan(metadata: TableMetadata, parents: readonly ManifestFile[]): Promise<SnapshotPlan> {
    const kept: ManifestFile[] = []
    const affected: { readonly manifest: ManifestFile; readonly entries: readonly PlacedEntry[] }[] = []
    for (const manifest of parents.filter(hasLiveFiles)) {
      const entries = await this.#affected(metadata, manifest)
      if (entries === null) kept.push(manifest)
      else affected.push({ manifest, entries })
    }
    const gone = affected.flatMap(({ entries }) => entries.filter(({ status }) => status === 'deleted'))
    const added = [...this.#replacement.files]
    for (const { file, place } of gone) {
      if (place === 'across') added.push(...(await this.#rewriteOutside(file)))
    }
    const written = await writeAddedManifests(this.#fileIO, metadata, this.#snapshotId, added)
    for (const { manifest, entries } of affected) {
      written.push(await this.#filtered(metadata, manifest, entries))
    }
    const deleted = gone.map(({ file }) => file)
    return {
      manifests: [...written, ...kept],
      change: { operation: deleted.length > 0 ? 'overwrite' : 'append', added, deleted },
      ownFiles: written.map(({ path }) => path),
    }
  }

  /** The live entries as they will be, or null where the manifest can stay as it is. */
  async #affected(metadata: TableMetadata, manifest: ManifestFile): Promise<PlacedEntry[] | null> {
    if (manifest.content !== 'data') {
      throw new Unsupported(
        `The table has delete files (${manifest.path}), which are not supported. Compact it with the engine that wrote them.`,
      )
    }
    const spec = specNumbered(metadata, manifest.specId)
    if (!this.#mightHold(metadata, manifest)) return null
    const entries = (await readManifest(this.#fileIO, manifest, spec)).filter(
      ({ status }) => status !== 'deleted',
    )
    const places = entries.map(({ file }) => this.#placeOf(file, metadata))
    if (places.every((place) => place === 'outside')) return null
    return entries.map((entry, index) => this.#placed(entry, places[index] ?? 'across'))
  }

  #placed(entry: ManifestEntry, place: Place): PlacedEntry {
    return place === 'outside'
      ? { ...entry, place, status: 'existing' }
      : { ...entry, place, status: 'deleted', snapshotId: this.#snapshotId }
  }

  #mightHold(metadata: TableMetadata, manifest: ManifestFile): boolean {
    const { column } = this.#replacement
    return manifestMightMatch(manifest, specNumbered(metadata, manifest.specId), currentSchema(metadata), {
      op: 'or',
      filters: this.#ranges.map(({ after, upTo }) => ({
        op: 'and',
        filters: [
          { column, op: 'gt', value: after },
          { column, op: 'le', value: upTo },
        ],
      })),
    })
  }

  #filtered(
    metadata: TableMetadata,
    manifest: ManifestFile,
    entries: readonly ManifestEntry[],
  ): Promise<NewManifest> {
    return writeManifest(this.#fileIO, newManifestPath(metadata), {
      schema: currentSchema(metadata),
      spec: specNumbered(metadata, manifest.specId),
      snapshotId: this.#snapshotId,
      entries,
    })
  }

  #placeOf(file: DataFile, metadata: TableMetadata): Place {
    const spec = specNumbered(metadata, file.specId)
    return placeOf(
      file,
      { schema: currentSchema(metadata), spec, column: this.#replacement.column },
      this.#ranges,
    )
  }

  async #rewriteOutside(file: DataFile): Promise<readonly DataFile[]> {
    const known = this.#rewritten.get(file.filePath)
    if (known) return known
    const files = await this.#replacement.rewriteOutside(file)
    this.#rewritten.set(file.filePath, files)
    return files
  }
}
