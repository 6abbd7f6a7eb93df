/**
 * The registry's ledger follows from the table: every published snapshot names its run and a ledger file. A crash
 * between publishing and recording leaves a snapshot that the ledger does not know; this reads it in.
 */
import type { Snapshot, Table } from '../iceberg/index.ts'
import type { LedgerState } from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'
import { incarnationOf } from './groupTable.ts'
import { readJsonFile, summaryKeys, type LedgerFile } from './runFiles.ts'

/** Snapshots that were ever published, newest first. */
export function publishedSnapshots(table: Table): Snapshot[] {
  return table.ancestorsOf('main')
}

/**
 * Records every snapshot that was published since the ledger last had all of them; what it knew of a table before this
 * one, which was dropped, is forgotten.
 */
export async function healLedger(
  { registry, fileIO }: ActivityDeps,
  group: string,
  table: Table,
): Promise<LedgerState> {
  const state = await registry.openLedger(group, String(incarnationOf(table)))
  const published = publishedSnapshots(table)
  const [newest] = published
  if (newest === undefined || Number(newest.sequenceNumber) <= state.healedUpTo) return state
  // A published snapshot descends from the one before, so its number is greater.
  const since = published.filter(({ sequenceNumber }) => Number(sequenceNumber) > state.healedUpTo)
  for (const snapshot of since.reverse()) await recordSnapshot({ registry, fileIO }, group, snapshot)
  await registry.noteHealed(group, Number(newest.sequenceNumber))
  return (await registry.ledgerState(group)) ?? state
}

type WrittenSinceEver = Pick<
  LedgerFile,
  'runId' | 'fingerprint' | 'features' | 'ranges' | 'filled' | 'cadenceMs'
>

/** What files that were written before groups could be live do not say. */
const beforeRefreshes = { reread: [], corrected: [], readAt: null, knownFrom: null, liveFrom: null }

/** Enters one published snapshot into the ledger. Idempotent. */
export async function recordSnapshot(
  { registry, fileIO }: Pick<ActivityDeps, 'registry' | 'fileIO'>,
  group: string,
  snapshot: Snapshot,
): Promise<void> {
  const ledgerPath = snapshot.summary[summaryKeys.ledger]
  if (ledgerPath === undefined) return
  const file = {
    ...beforeRefreshes,
    ...(await readJsonFile<Partial<LedgerFile> & WrittenSinceEver>(fileIO, ledgerPath)),
  }
  await registry.recordPublished({
    group,
    runId: file.runId,
    fingerprint: file.fingerprint,
    features: file.features,
    ranges: file.ranges,
    filled: file.filled,
    reread: file.reread,
    corrected: file.corrected,
    readAt: file.readAt ?? snapshot.timestampMs,
    knownFrom: file.knownFrom,
    liveFrom: file.liveFrom,
    // An override is saved before the commit that it allows.
    letThrough: (await registry.overrides(file.runId)).length > 0,
    cadenceMs: file.cadenceMs,
    snapshotId: String(snapshot.snapshotId),
    sequenceNumber: Number(snapshot.sequenceNumber),
    publishedAt: snapshot.timestampMs,
  })
}
