/** A refresh that a gate blocked, waiting for a decision while later refreshes go on. Started by `refresh` only. */
import { ApplicationFailure, makeContinueAsNewFunc, setHandler, workflowInfo } from '@temporalio/workflow'
import { openGateDesk } from './gateDesk.ts'
import { failureTypes } from './names.ts'
import { newProgress, progressQuery } from './progress.ts'
import { carryOut, refOf, type BlockedRun, type CarriedRun, type RunResult } from './run.ts'
import { control } from './steps.ts'

export async function parkedRun(blocked: BlockedRun, carried?: CarriedRun): Promise<RunResult> {
  const { group, runId } = checkBlockedRun(blocked)
  const { workflowId } = workflowInfo()
  const progress = newProgress(runId, group)
  const gate = openGateDesk(progress)
  setHandler(progressQuery, () => progress, { description: 'How far the run is, as data.' })
  // Whoever hands a run over parks it, the first time.
  let isParked = carried === undefined
  return carryOut(
    {
      progress,
      plan: (last) =>
        control.planRefresh({ group, runId, workflowId, again: (last ?? blocked.plan).planPath }),
      async blocked({ plan }) {
        if (!isParked) await control.parkRun({ ...refOf(plan), workflowId })
        isParked = false
        return gate.decide()
      },
      continueAsNew: (run) => makeContinueAsNewFunc<typeof parkedRun>()(blocked, run),
    },
    carried === undefined ? { blocked } : { carried },
  )
}

function checkBlockedRun(blocked: BlockedRun | undefined): BlockedRun['plan'] {
  if (blocked?.plan?.runId !== undefined && blocked.plan.group !== undefined) return blocked.plan
  throw ApplicationFailure.nonRetryable(
    'parkedRun: it carries on a refresh that a gate blocked, and `refresh` alone starts it. Start `refresh` with {"group": "airport_delays_v1"}.',
    failureTypes.input,
  )
}
