/** Takes back everything of a run that is not published. Safe to call for a run that never began, and twice. */
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { healLedger } from './healLedger.ts'
import { branchOf } from './runFiles.ts'
import { publishedBy, sweepRun } from './sweepRun.ts'

export const abandonRun =
  (deps: ActivityDeps): Activities['abandonRun'] =>
  async ({ runId, group, outcome, reason }) => {
    const { registry, catalog, store, now } = deps
    if ((await registry.run(runId)) === null) return
    const identifier = { namespace: store, name: group }
    if (!(await catalog.tableExists(identifier))) {
      await registry.updateRun(runId, { status: outcome, endedAt: await now(), reason })
      return
    }
    const table = await catalog.loadTable(identifier)
    // Without its branch nobody publishes the run any more, so that the answer holds.
    await table.dropBranch(branchOf(runId))
    const published = await publishedBy(table, runId)
    // What failed after the publish (a load, say) does not take the publish back.
    if (published !== null) await healLedger(deps, group, table)
    const isPublished = published !== null || (await registry.publishedRunIds(group)).has(runId)
    await registry.updateRun(runId, {
      status: isPublished ? 'published' : outcome,
      endedAt: await now(),
      reason,
      ...(published === null ? {} : { snapshotId: String(published.snapshot.snapshotId) }),
    })
    // A run that is published by a snapshot which has expired since keeps its files: the janitor knows which are read.
    if (published !== null || !isPublished) await sweepRun(deps, table, runId)
  }
