/** Files that come into a table with a snapshot: checked, and written into manifests of their own. */
import { randomUUID } from 'node:crypto'
import type { FileIO } from './fileio/fileio.ts'
import { writeManifest, type NewManifest } from './manifest.ts'
import type { TableMetadata } from './metadata.ts'
import { InvalidInput } from './singleValue.ts'
import type { DataFile, PartitionSpec, Schema } from './types.ts'

export function currentSchema(metadata: TableMetadata): Schema {
  return schemaNumbered(metadata, metadata['current-schema-id'])
}

export function schemaNumbered(metadata: TableMetadata, id: number): Schema {
  const schema = metadata.schemas.find((candidate) => candidate['schema-id'] === id)
  if (schema) return schema
  throw new InvalidInput(`Table ${metadata['table-uuid']} has no schema ${id}.`)
}

export function specNumbered(metadata: TableMetadata, id: number): PartitionSpec {
  const spec = metadata['partition-specs'].find((candidate) => candidate['spec-id'] === id)
  if (spec) return spec
  throw new InvalidInput(`Table ${metadata['table-uuid']} has no partition spec ${id}.`)
}

/** A place for a manifest that nobody else writes to. */
export const newManifestPath = (metadata: TableMetadata): string =>
  `${metadata.location}/metadata/${randomUUID()}-m0.avro`

/**
 * One manifest of added files for each partition spec among them. They name no sequence number, so that they fit
 * whichever attempt of their commit is first.
 */
export async function writeAddedManifests(
  fileIO: FileIO,
  metadata: TableMetadata,
  snapshotId: bigint,
  files: readonly DataFile[],
): Promise<NewManifest[]> {
  const manifests: NewManifest[] = []
  for (const specId of new Set(files.map((file) => file.specId))) {
    const entries = files
      .filter((file) => file.specId === specId)
      .map((file) => ({
        status: 'added' as const,
        snapshotId,
        sequenceNumber: null,
        fileSequenceNumber: null,
        file,
      }))
    const content = {
      schema: currentSchema(metadata),
      spec: specNumbered(metadata, specId),
      snapshotId,
      entries,
    }
    manifests.push(await writeManifest(fileIO, newManifestPath(metadata), content))
  }
  return manifests
}

/** A file twice would count its rows twice; a partition tuple of another spec would hide them. */
export function checkFiles(metadata: TableMetadata, files: readonly DataFile[]): void {
  const seen = new Set<string>()
  for (const { filePath, specId, partition } of files) {
    if (seen.has(filePath)) throw new InvalidInput(`${filePath} is given twice.`)
    seen.add(filePath)
    const names = specNumbered(metadata, specId).fields.map(({ name }) => name)
    const missing = names.find((name) => !Object.hasOwn(partition, name))
    if (missing !== undefined) {
      throw new InvalidInput(`${filePath} has no value for the partition field ${JSON.stringify(missing)}.`)
    }
  }
}
