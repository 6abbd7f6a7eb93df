/**
 * The registry's ledger follows from the table: every published snapshot names its run and a ledger file. A crash
 * between publishing and recording leaves a snapshot that the ledger does not know; this reads it in.
 */
import type { Snapshot, Table } from '../iceberg/index.ts'
import type { ActivityDeps } from './deps.ts'
import { readJsonFile, summaryKeys, type LedgerFile } from './runFiles.ts'

/** Snapshots that were ever published, newest first. */
export function publishedSnapshots(table: Table): Snapshot[] {
  return table.ancestorsOf('main')
}

/** Records every published run that the ledger lacks. Returns how many it lacked. */
export async function healLedger(
  { registry, fileIO }: ActivityDeps,
  group: string,
  table: Table,
): Promise<number> {
  const known = await registry.publishedRunIds(group)
  const lacking = publishedSnapshots(table).filter(({ summary }) => {
    const runId = summary[summaryKeys.run]
    return runId !== undefined && !known.has(runId)
  })
  for (const snapshot of lacking.reverse()) await recordSnapshot({ registry, fileIO }, group, snapshot)
  return lacking.length
}

/** Enters one published snapshot into the ledger. Idempotent. */
export async function recordSnapshot(
  { registry, fileIO }: Pick<ActivityDeps, 'registry' | 'fileIO'>,
  group: string,
  snapshot: Snapshot,
): Promise<void> {
  const ledgerPath = snapshot.summary[summaryKeys.ledger]
  if (ledgerPath === undefined) return
  const file = await readJsonFile<LedgerFile>(fileIO, ledgerPath)
  await registry.recordPublished({
    group,
    runId: file.runId,
    fingerprint: file.fingerprint,
    features: file.features,
    ranges: file.ranges,
    filled: file.filled,
    cadenceMs: file.cadenceMs,
    snapshotId: String(snapshot.snapshotId),
    sequenceNumber: Number(snapshot.sequenceNumber),
    publishedAt: snapshot.timestampMs,
  })
}
