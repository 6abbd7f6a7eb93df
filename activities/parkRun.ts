/** Says in the registry that a gate holds the run, and keeps refreshes from what it brings meanwhile. */
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { broughtBy, chunkFilesOf, readJsonFile, type RunPlan } from './runFiles.ts'

export const parkRun =
  (deps: ActivityDeps): Activities['parkRun'] =>
  async ({ runId, planPath, workflowId }) => {
    const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
    const chunks = await chunkFilesOf(deps.fileIO, plan, planPath)
    await deps.registry.holdRun(runId, workflowId, broughtBy(plan, chunks))
  }
