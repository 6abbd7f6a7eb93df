/** Closes a run that ended well, and sweeps what its failed attempts and earlier plans left behind. */
import { planScan, type Table } from '../iceberg/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import {
  branchOf,
  chunkPathOf,
  dataFolder,
  deleteBelow,
  deleteLedgers,
  readJsonFile,
  runFolder,
  summaryKeys,
  type ChunkFile,
  type RunPlan,
} from './runFiles.ts'

export const recordRun =
  (deps: ActivityDeps): Activities['recordRun'] =>
  async ({ group: id, runId, planPath, outcome, published }) => {
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
    const unfilled = published === undefined ? 0 : await unfilledRows(deps, planPath)
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
      ...(unfilled === 0
        ? {}
        : {
            reason: `${unfilled} published rows are not computed any more; what was filled in stays null there.`,
          }),
    })
  }

/** Counted from the chunks' files, as far as an attempt before this one has not swept them. */
async function unfilledRows({ fileIO }: ActivityDeps, planPath: string): Promise<number> {
  if (!(await fileIO.exists(planPath))) return 0
  const plan = await readJsonFile<RunPlan>(fileIO, planPath)
  let rows = 0
  for (const [chunk, { fills }] of plan.chunks.entries()) {
    const path = chunkPathOf(planPath, chunk)
    if (fills === null || !(await fileIO.exists(path))) continue
    rows += (await readJsonFile<ChunkFile>(fileIO, path)).unfilled
  }
  return rows
}

async function publishedFiles(table: Table, runId: string, snapshotId: bigint) {
  const { files } = await planScan(table, { snapshotId })
  return files.filter(({ filePath }) => filePath.startsWith(`${dataFolder(table.location, runId)}/`))
}
