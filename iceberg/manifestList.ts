/** Manifest lists: the manifests of a snapshot, with what is needed to skip most of them. */
import { decodeContainer, encodeContainer, type RecordReader } from './avro.ts'
import { Corrupt } from './errors.ts'
import type { FileIO } from './fileio/fileio.ts'
import { manifestListSchema } from './manifestSchema.ts'
import type { PartitionSummary } from './partitionSummary.ts'

export interface ManifestFile {
  readonly path: string
  readonly length: bigint
  readonly specId: number
  readonly content: 'data' | 'deletes'
  readonly sequenceNumber: bigint
  /** The least sequence number among its live files. */
  readonly minSequenceNumber: bigint
  readonly addedSnapshotId: bigint
  readonly addedFiles: number
  readonly existingFiles: number
  readonly deletedFiles: number
  readonly addedRows: bigint
  readonly existingRows: bigint
  readonly deletedRows: bigint
  /** One for each field of the partition spec; null: not known. */
  readonly partitions: readonly PartitionSummary[] | null
  readonly keyMetadata: Uint8Array | null
}

/** Whether a manifest still lists files that can be read. */
export const hasLiveFiles = ({ addedFiles, existingFiles }: ManifestFile): boolean =>
  addedFiles + existingFiles > 0

export interface ManifestListSnapshot {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  readonly sequenceNumber: bigint
}

export async function writeManifestList(
  fileIO: FileIO,
  path: string,
  snapshot: ManifestListSnapshot,
  manifests: readonly ManifestFile[],
): Promise<void> {
  const bytes = await encodeContainer(manifestListSchema, manifests.map(avroManifest), {
    'snapshot-id': String(snapshot.snapshotId),
    'parent-snapshot-id': String(snapshot.parentSnapshotId),
    'sequence-number': String(snapshot.sequenceNumber),
    'format-version': '2',
  })
  await fileIO.writeExclusive(path, bytes)
}

const contents: readonly ManifestFile['content'][] = ['data', 'deletes']

function avroManifest(manifest: ManifestFile): object {
  return {
    manifest_path: manifest.path,
    manifest_length: manifest.length,
    partition_spec_id: manifest.specId,
    content: contents.indexOf(manifest.content),
    sequence_number: manifest.sequenceNumber,
    min_sequence_number: manifest.minSequenceNumber,
    added_snapshot_id: manifest.addedSnapshotId,
    added_files_count: manifest.addedFiles,
    existing_files_count: manifest.existingFiles,
    deleted_files_count: manifest.deletedFiles,
    added_rows_count: manifest.addedRows,
    existing_rows_count: manifest.existingRows,
    deleted_rows_count: manifest.deletedRows,
    partitions:
      manifest.partitions?.map((summary) => ({
        contains_null: summary.containsNull,
        contains_nan: summary.containsNaN,
        lower_bound: bufferOf(summary.lowerBound),
        upper_bound: bufferOf(summary.upperBound),
      })) ?? null,
    key_metadata: bufferOf(manifest.keyMetadata),
  }
}

const bufferOf = (bytes: Uint8Array | null): Buffer | null =>
  bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export async function readManifestList(fileIO: FileIO, path: string): Promise<ManifestFile[]> {
  const { records } = await decodeContainer(await fileIO.read(path))
  return records.map((record) => manifestOf(record, path))
}

function manifestOf(record: RecordReader, list: string): ManifestFile {
  const content = contents[Number(record.get(517) ?? 0)]
  if (!content) throw new Corrupt(`${list}: a manifest has the content ${String(record.get(517))}.`)
  return {
    path: record.get(500) as string,
    length: record.get(501) as bigint,
    specId: record.get(502) as number,
    content,
    sequenceNumber: (record.get(515) as bigint | undefined) ?? 0n,
    minSequenceNumber: (record.get(516) as bigint | undefined) ?? 0n,
    addedSnapshotId: record.get(503) as bigint,
    addedFiles: countOf(record, 504),
    existingFiles: countOf(record, 505),
    deletedFiles: countOf(record, 506),
    addedRows: (record.get(512) as bigint | null | undefined) ?? 0n,
    existingRows: (record.get(513) as bigint | null | undefined) ?? 0n,
    deletedRows: (record.get(514) as bigint | null | undefined) ?? 0n,
    partitions: record.list(507)?.map(summaryOf) ?? null,
    keyMetadata: record.bytes(519),
  }
}

/** Version 1 may leave counts out; then there may be files. */
function countOf(record: RecordReader, fieldId: number): number {
  return (record.get(fieldId) as number | null | undefined) ?? 1
}

function summaryOf(record: RecordReader): PartitionSummary {
  return {
    containsNull: record.get(509) as boolean,
    containsNaN: (record.get(518) as boolean | null | undefined) ?? null,
    lowerBound: record.bytes(510),
    upperBound: record.bytes(511),
  }
}
