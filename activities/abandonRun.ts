/** Takes back everything of a run that is not published. Safe to call for a run that never began, and twice. */
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { publishedSnapshots } from './healLedger.ts'
import { branchOf, dataFolder, deleteBelow, deleteLedgers, runFolder, summaryKeys } from './runFiles.ts'

export const abandonRun =
  (deps: ActivityDeps): Activities['abandonRun'] =>
  async ({ runId, group, outcome, reason }) => {
    const run = await deps.registry.run(runId)
    if (run === null) return
    const identifier = { namespace: deps.store, name: group }
    if (await deps.catalog.tableExists(identifier)) {
      const table = await deps.catalog.loadTable(identifier)
      // What failed after the publish (a load, say) does not take the publish back.
      const isPublished = publishedSnapshots(table).some(({ summary }) => summary[summaryKeys.run] === runId)
      if (isPublished) {
        await deps.registry.updateRun(runId, { status: 'published', endedAt: await deps.now(), reason })
        return
      }
      await table.dropBranch(branchOf(runId))
      await deleteBelow(deps.fileIO, dataFolder(table.location, runId))
      await deleteBelow(deps.fileIO, runFolder(table.location, runId))
      await deleteLedgers(deps.fileIO, table.location, runId)
    }
    await deps.registry.updateRun(runId, { status: outcome, endedAt: await deps.now(), reason })
  }
