/**
 * Manifests: which data files came, stayed or went with a snapshot.
 *
 * A new file's entry has no sequence number: it inherits its snapshot's, so that the manifest can be written once and
 * survive a lost race. Entries that are carried into a rewritten manifest name theirs.
 */
import { decodeContainer, encodeContainer, type RecordReader } from './avro.ts'
import { Corrupt, Unsupported } from './errors.ts'
import type { FileIO } from './fileio/fileio.ts'
import type { ManifestFile } from './manifestList.ts'
import { avroName, manifestSchema } from './manifestSchema.ts'
import { partitionSummaries, type PartitionSummary } from './partitionSummary.ts'
import type { DataFile, PartitionSpec, PartitionTuple, Schema } from './types.ts'

export type EntryStatus = 'existing' | 'added' | 'deleted'
const statuses: readonly EntryStatus[] = ['existing', 'added', 'deleted']

export interface ManifestEntry {
  readonly status: EntryStatus
  /** The snapshot that added the file or, once it is deleted, that deleted it. */
  readonly snapshotId: bigint
  /** Null for a file that is added: it inherits the manifest's. */
  readonly sequenceNumber: bigint | null
  readonly fileSequenceNumber: bigint | null
  readonly file: DataFile
  /** What other writers note about a file; kept when its entry moves to another manifest. */
  readonly notes?: FileNotes
}

interface FileNotes {
  readonly keyMetadata: Uint8Array | null
  readonly splitOffsets: readonly bigint[] | null
  readonly sortOrderId: number | null
}

/** A manifest that is written, but in no snapshot yet: it takes its snapshot's sequence number. */
export type NewManifest = Omit<ManifestFile, 'sequenceNumber' | 'minSequenceNumber'> & {
  readonly sequenceNumber: null
  /** The least among the entries that name theirs. */
  readonly minSequenceNumber: bigint | null
}

export interface ManifestContent {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly snapshotId: bigint
  readonly entries: readonly ManifestEntry[]
}

/** Writes a manifest of data files, all of one partition spec. */
export async function writeManifest(
  fileIO: FileIO,
  path: string,
  { schema, spec, snapshotId, entries }: ManifestContent,
): Promise<NewManifest> {
  const bytes = await encodeContainer(
    manifestSchema(schema, spec),
    entries.map((entry) => avroEntry(spec, entry)),
    {
      schema: JSON.stringify(schema),
      'schema-id': String(schema['schema-id']),
      'partition-spec': JSON.stringify(spec.fields),
      'partition-spec-id': String(spec['spec-id']),
      'format-version': '2',
      content: 'data',
    },
  )
  await fileIO.writeExclusive(path, bytes)
  const live = entries.filter(({ status }) => status !== 'deleted')
  return {
    path,
    length: BigInt(bytes.length),
    specId: spec['spec-id'],
    content: 'data',
    sequenceNumber: null,
    minSequenceNumber: least(live.flatMap(({ sequenceNumber }) => sequenceNumber ?? [])),
    addedSnapshotId: snapshotId,
    ...counts(entries),
    partitions: summaries(schema, spec, entries),
    keyMetadata: null,
  }
}

const least = (numbers: readonly bigint[]): bigint | null =>
  numbers.reduce<bigint | null>((least, number) => (least === null || number < least ? number : least), null)

function counts(entries: readonly ManifestEntry[]) {
  const of = (wanted: EntryStatus) => entries.filter(({ status }) => status === wanted)
  const rows = (some: readonly ManifestEntry[]) => some.reduce((sum, { file }) => sum + file.recordCount, 0n)
  const [existing, added, deleted] = [of('existing'), of('added'), of('deleted')]
  return {
    addedFiles: added.length,
    existingFiles: existing.length,
    deletedFiles: deleted.length,
    addedRows: rows(added),
    existingRows: rows(existing),
    deletedRows: rows(deleted),
  }
}

function summaries(
  schema: Schema,
  spec: PartitionSpec,
  entries: readonly ManifestEntry[],
): readonly PartitionSummary[] {
  return partitionSummaries(
    schema,
    spec,
    entries.map(({ file }) => file.partition),
  )
}

function avroEntry(spec: PartitionSpec, entry: ManifestEntry): object {
  const { file, notes } = entry
  return {
    status: statuses.indexOf(entry.status),
    snapshot_id: entry.snapshotId,
    sequence_number: entry.sequenceNumber,
    file_sequence_number: entry.fileSequenceNumber,
    data_file: {
      content: 0,
      file_path: file.filePath,
      file_format: 'PARQUET',
      partition: Object.fromEntries(
        spec.fields.map(({ name }) => [avroName(name), file.partition[name] ?? null]),
      ),
      record_count: file.recordCount,
      file_size_in_bytes: file.fileSizeInBytes,
      column_sizes: pairs(file.columnSizes),
      value_counts: pairs(file.valueCounts),
      null_value_counts: pairs(file.nullValueCounts),
      nan_value_counts: pairs(file.nanValueCounts),
      lower_bounds: pairs(buffers(file.lowerBounds)),
      upper_bounds: pairs(buffers(file.upperBounds)),
      key_metadata: notes?.keyMetadata ? Buffer.from(notes.keyMetadata) : null,
      split_offsets: notes?.splitOffsets ?? null,
      equality_ids: null,
      sort_order_id: notes?.sortOrderId ?? null,
      referenced_data_file: null,
    },
  }
}

/** In the order of the field ids, as other writers have them; null where there are none. */
function pairs<V>(map: ReadonlyMap<number, V>): { key: number; value: V }[] | null {
  if (map.size === 0) return null
  return [...map].sort(([left], [right]) => left - right).map(([key, value]) => ({ key, value }))
}

const buffers = (bounds: ReadonlyMap<number, Uint8Array>): ReadonlyMap<number, Buffer> =>
  new Map(
    [...bounds].map(([id, bytes]) => [id, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)]),
  )

/** The entries of a manifest that stands in a manifest list, with what they inherit from there filled in. */
export async function readManifest(
  fileIO: FileIO,
  manifest: ManifestFile,
  spec: PartitionSpec,
): Promise<ManifestEntry[]> {
  if (manifest.content !== 'data') {
    throw new Unsupported(
      `Manifest ${manifest.path} holds delete files, which are not supported. Compact the table with the engine that wrote them.`,
    )
  }
  const bytes = await fileIO.read(manifest.path)
  if (BigInt(bytes.length) !== manifest.length) {
    throw new Corrupt(`${manifest.path} has ${bytes.length} bytes, but was written with ${manifest.length}.`)
  }
  const { records } = await decodeContainer(bytes)
  return records.map((record) => entryOf(record, manifest, spec))
}

function entryOf(record: RecordReader, manifest: ManifestFile, spec: PartitionSpec): ManifestEntry {
  const status = statuses[Number(record.get(0))]
  if (!status) throw new Corrupt(`${manifest.path}: an entry has the status ${String(record.get(0))}.`)
  const inherited = status === 'added' ? manifest.sequenceNumber : null
  const sequenceNumber = (record.get(3) as bigint | null | undefined) ?? inherited
  const data = record.record(2)
  return {
    status,
    snapshotId: (record.get(1) as bigint | null | undefined) ?? manifest.addedSnapshotId,
    sequenceNumber: sequenceNumber ?? sequenceNumberOfVersion1(manifest),
    fileSequenceNumber: (record.get(4) as bigint | null | undefined) ?? inherited ?? sequenceNumber,
    file: dataFileOf(data, spec),
    notes: {
      keyMetadata: data.bytes(131),
      splitOffsets: (data.get(132) as bigint[] | null | undefined) ?? null,
      sortOrderId: (data.get(140) as number | null | undefined) ?? null,
    },
  }
}

/** Files of a table that was upgraded from version 1 have number 0; in version 2 only added files have none. */
function sequenceNumberOfVersion1(manifest: ManifestFile): bigint {
  if (manifest.sequenceNumber === 0n) return 0n
  throw new Corrupt(`${manifest.path}: an entry that is not new has no sequence number.`)
}

function dataFileOf(data: RecordReader, spec: PartitionSpec): DataFile {
  const filePath = data.get(100) as string
  const format = data.get(101) as string
  if (format.toUpperCase() !== 'PARQUET') {
    throw new Unsupported(`${filePath} is a ${format} file; only Parquet is supported.`)
  }
  return {
    filePath,
    partition: partitionOf(data.record(102), spec),
    specId: spec['spec-id'],
    recordCount: data.get(103) as bigint,
    fileSizeInBytes: data.get(104) as bigint,
    columnSizes: countsOf(data, 108, 117, 118),
    valueCounts: countsOf(data, 109, 119, 120),
    nullValueCounts: countsOf(data, 110, 121, 122),
    nanValueCounts: countsOf(data, 137, 138, 139),
    lowerBounds: boundsOf(data, 125, 126, 127),
    upperBounds: boundsOf(data, 128, 129, 130),
  }
}

function partitionOf(partition: RecordReader, spec: PartitionSpec): PartitionTuple {
  return Object.fromEntries(
    spec.fields.map((field) => {
      const value = partition.get(field['field-id']) as PartitionTuple[string] | undefined
      return [field.name, value ?? null]
    }),
  )
}

const countsOf = (data: RecordReader, mapId: number, keyId: number, valueId: number): Map<number, bigint> =>
  data.map(mapId, keyId, valueId, (value) => value as bigint)

const boundsOf = (
  data: RecordReader,
  mapId: number,
  keyId: number,
  valueId: number,
): Map<number, Uint8Array> =>
  data.map(mapId, keyId, valueId, (value) => new Uint8Array((value ?? []) as Uint8Array))
