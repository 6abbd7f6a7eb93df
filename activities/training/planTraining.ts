/**
 * Plans a training set: pins first, then everything else. What its content depends on is in the plan, and the hash of that
 * is its name: the same request on the same state is the same set, whoever asks.
 */
import { parseTrainingRequest } from '../../model/index.ts'
import type { Activities } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { withHeartbeat } from '../heartbeat.ts'
import { writeOnce } from '../runFiles.ts'
import { claimTraining, describePlan, tagSnapshots } from './claimTraining.ts'
import { keptLabels } from './keptLabels.ts'
import { makePlan, refuseUnfit } from './makePlan.ts'
import { outputFolder } from './outputFolder.ts'
import { pinGroups } from './pinGroups.ts'
import { knownRequest } from './selections.ts'

export const planTraining =
  (deps: ActivityDeps): Activities['planTraining'] =>
  ({ request: given, workflowId, runId }) =>
    // Labels may be many: they are read, counted and hashed here.
    withHeartbeat(async () => {
      const request = parseTrainingRequest(given)
      const output = request.output === undefined ? null : outputFolder(deps, request.output)
      const known = await knownRequest(deps, request)
      const now = await deps.now()
      const pins = await pinGroups(deps, request, known.selections)
      const kept = await keptLabels(deps, request, { ...known, pins, now })
      let isPlanned = false
      try {
        const plan = await makePlan(deps, request, { ...known, pins, kept, output })
        refuseUnfit(plan)
        const set = await claimTraining(deps, plan, { workflowId, runId })
        if (set.status !== 'finished') {
          isPlanned = await writeOnce(deps.fileIO, set.planPath, plan)
          await tagSnapshots(deps, plan)
        }
        return await describePlan(deps, set, runId)
      } finally {
        // Whoever planned the set before has kept the same labels.
        if (!isPlanned) await deps.fileIO.delete(kept.path)
      }
    })
