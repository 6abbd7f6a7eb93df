/** Ends the runs whose workflow was terminated, timed out or is gone: nobody else will. */
import { UnavailableError } from '../model/index.ts'
import type { RunStatus } from '../registry/index.ts'
import type { Activities } from '../workflows/contract.ts'
import { parkedWorkflowId } from '../workflows/names.ts'
import { abandonRun } from './abandonRun.ts'
import type { ActivityDeps } from './deps.ts'

export const openStatuses: readonly RunStatus[] = ['running', 'waiting']
/** More runs than one group ever has under way. */
const manyRuns = 10_000

export const takeBackLostRuns =
  (deps: ActivityDeps): Activities['takeBackLostRuns'] =>
  async ({ group }) => {
    const { registry } = deps
    const isOpen = askerOfOpen(deps)
    let runs = 0
    for (const { runId, workflowId } of await registry.runs({
      group,
      statuses: openStatuses,
      limit: manyRuns,
    })) {
      if (await isOpen(workflowId, firstRunIdOf(workflowId, runId))) continue
      // A refresh that has ended since, or was terminated, may have left it to a workflow that waits, which it starts
      // before the registry says so.
      if (await isOpen(parkedWorkflowId(group, runId), null)) continue
      // It may have ended well between the two questions.
      const now = await registry.run(runId)
      // Or another workflow has taken it over since, to wait for a decision.
      if (now === null || !openStatuses.includes(now.status) || now.workflowId !== workflowId) continue
      const reason = 'Its workflow is not open in Temporal any more: it was terminated, timed out or is gone.'
      await abandonRun(deps)({ runId, group, outcome: 'failed', reason })
      runs += 1
    }
    return { runs }
  }

/** Who is to end what others left must be able to ask. @throws UnavailableError where no worker runs */
export function askerOfOpen({ isOpen }: ActivityDeps): NonNullable<ActivityDeps['isOpen']> {
  if (isOpen !== undefined) return isOpen
  throw new UnavailableError('This worker cannot ask Temporal which workflows are open. Start `asof dev`.')
}

/** A run is named after the first execution of its workflow, except where another workflow has taken it over. */
function firstRunIdOf(workflowId: string, runId: string): string | null {
  return workflowId.endsWith(`/${runId}`) ? null : runId.replace(/\.live$/, '')
}
