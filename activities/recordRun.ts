/** Closes a run that ended well, and sweeps what its failed attempts and earlier plans left behind. */
import type { Table } from '../iceberg/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { chunkPathOf, readJsonFile, type ChunkFile, type RunPlan } from './runFiles.ts'
import { publishedBy, sweepRun } from './sweepRun.ts'

export const recordRun =
  (deps: ActivityDeps): Activities['recordRun'] =>
  async ({ group: id, runId, planPath, outcome, published }) => {
    const { table } = await groupOf(deps, id)
    // An attempt that closed the run may have swept some of what its figures are counted from.
    if ((await deps.registry.run(runId))?.status !== outcome) {
      const unfilled = published === undefined ? 0 : await unfilledRows(deps, planPath)
      await deps.registry.updateRun(runId, {
        status: outcome,
        endedAt: await deps.now(),
        rows: published === undefined ? null : await computedRows(table, runId),
        snapshotId: published?.snapshotId ?? null,
        ...(unfilled === 0
          ? {}
          : {
              reason: `${unfilled} published rows are not computed any more; what was filled in stays null there.`,
            }),
      })
    }
    // A run that was staged, then overtaken, and then found nothing missing any more still has its branch.
    await sweepRun(deps, table, runId)
  }

/** Rows of neighbouring intervals that were only carried into new files are not the run's. */
async function computedRows(table: Table, runId: string): Promise<number> {
  const published = await publishedBy(table, runId)
  const computed = published?.files.filter(({ filePath }) => !filePath.includes('/edge-')) ?? []
  return computed.reduce((sum, { recordCount }) => sum + Number(recordCount), 0)
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
