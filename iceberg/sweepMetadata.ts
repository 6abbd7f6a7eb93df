/**
 * Files that nothing refers to any more: commits that died, attempts that lost, snapshots that were removed.
 *
 * A commit writes its files first and becomes visible last, so a file that nothing refers to may belong to one that is
 * under way. Only its age tells: give a limit longer than any commit takes.
 */
import { specNumbered } from './appendFiles.ts'
import { readManifest } from './manifest.ts'
import { readManifestList, type ManifestFile } from './manifestList.ts'
import type { TableMetadata } from './metadata.ts'
import { reachableSnapshots } from './removeUnreachable.ts'
import type { Table } from './table.ts'

/** Manifests, manifest lists, metadata files and what a writer was about to give one of these names. */
const sweepable = /\.(avro|metadata\.json|tmp)$/

/**
 * Deletes the files below `metadata/` that the table's newest metadata, with its log, does not lead to.
 * @param modifiedBefore milliseconds since the epoch by the file store's clock; younger files stay
 * @returns how many were deleted
 */
export async function sweepMetadata(table: Table, modifiedBefore: number): Promise<number> {
  const { fileIO, location } = table
  const old: string[] = []
  // Listed before the metadata is read: what is committed in between is referred to.
  for await (const file of fileIO.listWithTimes(`${location}/metadata`)) {
    if (sweepable.test(file.location) && file.modifiedMs < modifiedBefore) old.push(file.location)
  }
  await table.refresh()
  const used = await metadataFiles(table)
  const orphans = old.filter((file) => !used.has(fileIO.localPath(file)))
  for (const file of orphans) await fileIO.delete(file)
  return orphans.length
}

/** Other engines write one location in several ways, hence the store's own paths. */
async function metadataFiles({ fileIO, metadata, metadataLocation }: Table): Promise<Set<string>> {
  const used = [metadataLocation, ...metadata['metadata-log'].map((entry) => entry['metadata-file'])]
  for (const key of ['statistics', 'partition-statistics'] as const) {
    used.push(...(metadata[key] ?? []).map((file) => file['statistics-path']))
  }
  for (const snapshot of metadata.snapshots) {
    const list = snapshot['manifest-list']
    used.push(list, ...(await readManifestList(fileIO, list)).map(({ path }) => path))
  }
  return new Set(used.map((file) => fileIO.localPath(file)))
}

/** Local paths of the data files that a snapshot which a branch or tag leads to can read. */
export async function reachableDataFiles({ fileIO, metadata }: Table): Promise<Set<string>> {
  const reached = reachableSnapshots(metadata)
  const manifests = new Map<string, ManifestFile>()
  for (const snapshot of metadata.snapshots) {
    if (!reached.has(snapshot['snapshot-id'])) continue
    for (const manifest of await readManifestList(fileIO, snapshot['manifest-list'])) {
      manifests.set(manifest.path, manifest)
    }
  }
  const files = new Set<string>()
  for (const manifest of manifests.values()) {
    for (const path of await liveFilesOf(fileIO, metadata, manifest)) files.add(path)
  }
  return files
}

async function liveFilesOf(
  fileIO: Table['fileIO'],
  metadata: TableMetadata,
  manifest: ManifestFile,
): Promise<string[]> {
  const entries = await readManifest(fileIO, manifest, specNumbered(metadata, manifest.specId))
  return entries.flatMap(({ status, file }) =>
    status === 'deleted' ? [] : [fileIO.localPath(file.filePath)],
  )
}
