/** What one attempt wants its snapshot to consist of, and how that becomes a manifest list and two updates. */
import { randomUUID } from 'node:crypto'
import { currentSchema } from './appendFiles.ts'
import type { FileIO } from './fileio/fileio.ts'
import type { NewManifest } from './manifest.ts'
import { writeManifestList, type ManifestFile } from './manifestList.ts'
import type { SnapshotEntry, TableMetadata } from './metadata.ts'
import { summaryOf, type Snapshot, type SnapshotChange } from './snapshot.ts'

export interface SnapshotPlan {
  /** Manifests that were carried over have their sequence number, new ones take the snapshot's. */
  readonly manifests: readonly (ManifestFile | NewManifest)[]
  readonly change: SnapshotChange
  /** Files that are of no use once this attempt has lost. */
  readonly ownFiles: readonly string[]
}

export interface NextSnapshot {
  readonly snapshotId: bigint
  readonly parent: Snapshot | null
  readonly attempt: number
  readonly summary: Readonly<Record<string, string>>
  readonly nowMs: number
}

/** Writes the manifest list; the snapshot is none before its metadata is committed. */
export async function writeSnapshot(
  fileIO: FileIO,
  metadata: TableMetadata,
  plan: SnapshotPlan,
  next: NextSnapshot,
): Promise<SnapshotEntry> {
  const { snapshotId, parent, attempt, summary, nowMs } = next
  const sequenceNumber = metadata['last-sequence-number'] + 1n
  const parentSnapshotId = parent?.snapshotId ?? null
  const list = `${metadata.location}/metadata/snap-${snapshotId}-${attempt}-${randomUUID()}.avro`
  await writeManifestList(
    fileIO,
    list,
    { snapshotId, parentSnapshotId, sequenceNumber },
    plan.manifests.map((manifest) => numbered(manifest, sequenceNumber)),
  )
  return {
    'snapshot-id': snapshotId,
    ...(parentSnapshotId === null ? {} : { 'parent-snapshot-id': parentSnapshotId }),
    'sequence-number': sequenceNumber,
    'timestamp-ms': Math.max(nowMs, metadata['last-updated-ms']),
    'manifest-list': list,
    summary: summaryOf(plan.change, parent, summary),
    'schema-id': currentSchema(metadata)['schema-id'],
  }
}

/** Numbers that entries name are smaller than the new one, which those that name none inherit. */
function numbered(manifest: ManifestFile | NewManifest, sequenceNumber: bigint): ManifestFile {
  if (manifest.sequenceNumber !== null) return manifest
  return { ...manifest, sequenceNumber, minSequenceNumber: manifest.minSequenceNumber ?? sequenceNumber }
}
