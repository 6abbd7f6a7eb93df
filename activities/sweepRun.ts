/** What lies around of a run when it ends, whichever way: its branch, and every file that nobody can read. */
import { planScan, type DataFile, type Snapshot, type Table } from '../iceberg/index.ts'
import type { ActivityDeps } from './deps.ts'
import { publishedSnapshots } from './healLedger.ts'
import { branchOf, dataFolder, deleteBelow, deleteLedgers, runFolder, summaryKeys } from './runFiles.ts'

/** The snapshot by which a run became visible, and the run's own files in it; null where it never did. */
export async function publishedBy(
  table: Table,
  runId: string,
): Promise<{ snapshot: Snapshot; files: DataFile[] } | null> {
  const snapshot = publishedSnapshots(table).find(({ summary }) => summary[summaryKeys.run] === runId)
  if (snapshot === undefined) return null
  const { files } = await planScan(table, { snapshotId: snapshot.snapshotId })
  const own = files.filter(({ filePath }) => filePath.startsWith(`${dataFolder(table.location, runId)}/`))
  return { snapshot, files: own }
}

/** Drops the run's branch and deletes its files, except those that it has published. Safe to do twice. */
export async function sweepRun({ fileIO }: ActivityDeps, table: Table, runId: string): Promise<void> {
  // First of all: without its branch a run cannot be published any more, not even by a step that was given up and
  // still goes on. So what is published from here on is the answer, and nothing of it is deleted.
  await table.dropBranch(branchOf(runId))
  const published = await publishedBy(table, runId)
  const kept = new Set(published?.files.map(({ filePath }) => filePath))
  await deleteBelow(fileIO, dataFolder(table.location, runId), (location) => kept.has(location))
  await deleteBelow(fileIO, runFolder(table.location, runId))
  await deleteLedgers(fileIO, table.location, runId, published?.snapshot.summary[summaryKeys.ledger])
}
