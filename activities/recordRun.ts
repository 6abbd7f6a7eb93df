/** Closes a run that ended well, and sweeps what its failed attempts and earlier plans left behind. */
import type { Table } from '../iceberg/index.ts'
import { formatInstant } from '../model/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { chunkFilesOf, readJsonFile, type RunPlan } from './runFiles.ts'
import { publishedBy, sweepRun } from './sweepRun.ts'

export const recordRun =
  (deps: ActivityDeps): Activities['recordRun'] =>
  async ({ group: id, runId, planPath, outcome, published }) => {
    const { table } = await groupOf(deps, id)
    // An attempt that closed the run may have swept some of what its figures are counted from.
    if ((await deps.registry.run(runId))?.status !== outcome) {
      const plan = await planOf(deps, planPath)
      const reasons = plan === null ? [] : await reasonsOf(deps, plan, planPath)
      // Nothing had changed: that the sources were read again is all there is to keep.
      if (plan !== null && published === undefined) await deps.registry.noteRead(id, plan.reread, plan.readAt)
      await deps.registry.updateRun(runId, {
        status: outcome,
        endedAt: await deps.now(),
        rows: published === undefined ? null : await computedRows(table, runId),
        snapshotId: published?.snapshotId ?? null,
        ...(reasons.length === 0 ? {} : { reason: reasons.join(' ') }),
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

/** Null where an attempt before this one has swept it. */
async function planOf({ fileIO }: ActivityDeps, planPath: string): Promise<RunPlan | null> {
  return (await fileIO.exists(planPath)) ? readJsonFile<RunPlan>(fileIO, planPath) : null
}

/** What somebody should know of a run that ended well. */
async function reasonsOf({ fileIO }: ActivityDeps, plan: RunPlan, planPath: string): Promise<string[]> {
  const chunks = await chunkFilesOf(fileIO, plan, planPath)
  const unfilled = chunks.reduce((sum, chunk) => sum + chunk.unfilled, 0)
  const vanished = chunks.reduce((sum, chunk) => sum + chunk.vanished, 0)
  const [first, last] = [plan.reread[0], plan.reread.at(-1)]
  return [
    ...(unfilled === 0
      ? []
      : [`${unfilled} published rows are not computed any more; what was filled in stays null there.`]),
    ...(vanished === 0 || first === undefined || last === undefined
      ? []
      : [
          `${vanished} published rows are not computed any more: the source lost events. They stay as they were served; \`asof backfill ${plan.group} --from ${formatInstant(first.from)} --to ${formatInstant(last.to)} --rewrite\` makes history anew.`,
        ]),
  ]
}
