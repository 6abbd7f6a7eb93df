/**
 * Says in the registry that a gate holds the run, and keeps refreshes from what it brings meanwhile.
 *
 * The workflow that waits is there before this step, so a second attempt of it may come after the decision: a run that
 * has ended holds nothing, and its plan may be gone.
 */
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { broughtBy, chunkFilesOf, readJsonFile, type RunPlan } from './runFiles.ts'
import { openStatuses } from './takeBackLostRuns.ts'

export const parkRun =
  (deps: ActivityDeps): Activities['parkRun'] =>
  async ({ runId, planPath, workflowId }) => {
    const run = await deps.registry.run(runId)
    if (run === null || !openStatuses.includes(run.status)) return
    const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
    const chunks = await chunkFilesOf(deps.fileIO, plan, planPath)
    await deps.registry.holdRun(runId, workflowId, broughtBy(plan, chunks))
  }
