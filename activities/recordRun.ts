/** Closes a run that ended well, and sweeps what its failed attempts and earlier plans left behind. */
import { planScan, type Table } from '../iceberg/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { branchOf, dataFolder, deleteBelow, deleteLedgers, runFolder, summaryKeys } from './runFiles.ts'

export const recordRun =
  (deps: ActivityDeps): Activities['recordRun'] =>
  async ({ group: id, runId, outcome, published }) => {
    const { table } = await groupOf(deps, id)
    const own =
      published === undefined ? [] : await publishedFiles(table, runId, BigInt(published.snapshotId))
    // A run that was staged, then overtaken, and then found nothing missing any more still has its branch.
    await table.dropBranch(branchOf(runId))
    await deleteBelow(
      deps.fileIO,
      dataFolder(table.location, runId),
      new Set(own.map(({ filePath }) => filePath)),
    )
    await deleteBelow(deps.fileIO, runFolder(table.location, runId))
    const ledger = published && table.snapshot(BigInt(published.snapshotId))?.summary[summaryKeys.ledger]
    await deleteLedgers(deps.fileIO, table.location, runId, ledger)
    // Rows of neighbouring intervals that were only carried into new files are not the run's.
    const computed = own.filter(({ filePath }) => !filePath.includes('/edge-'))
    await deps.registry.updateRun(runId, {
      status: outcome,
      endedAt: await deps.now(),
      rows:
        published === undefined
          ? null
          : computed.reduce((sum, { recordCount }) => sum + Number(recordCount), 0),
      snapshotId: published?.snapshotId ?? null,
    })
  }

async function publishedFiles(table: Table, runId: string, snapshotId: bigint) {
  const { files } = await planScan(table, { snapshotId })
  return files.filter(({ filePath }) => filePath.startsWith(`${dataFolder(table.location, runId)}/`))
}
