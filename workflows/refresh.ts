/**
 * The refresh: computes what has come due, and reads again what late events may have changed. The first one makes the
 * group live. One that a gate blocks hands its run to a workflow that waits, so that the next hour is not held up.
 */
import {
  getExternalWorkflowHandle,
  makeContinueAsNewFunc,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow'
import type { RefreshInput } from './contract.ts'
import { checkRefreshInput } from './input.ts'
import { parkedWorkflowId } from './names.ts'
import { parkedRun } from './parkedRun.ts'
import { newProgress, progressQuery } from './progress.ts'
import { carryOut, refOf, type BlockedRun, type CarriedRun, type RunResult } from './run.ts'
import { control } from './steps.ts'

export async function refresh(input: RefreshInput, carried?: CarriedRun): Promise<RunResult> {
  checkRefreshInput(input)
  const { firstExecutionRunId: runId, workflowId } = workflowInfo()
  const progress = newProgress(runId, input.group)
  setHandler(progressQuery, () => progress, { description: 'How far the run is, as data.' })
  return carryOut(
    {
      progress,
      plan: () => control.planRefresh({ group: input.group, runId, workflowId }),
      blocked: handOver,
      continueAsNew: (run) => makeContinueAsNewFunc<typeof refresh>()(input, run),
    },
    carried === undefined ? null : { carried },
  )
}

/** The other workflow is there before the registry says so: at no moment does a waiting run belong to nobody. */
async function handOver(run: BlockedRun): Promise<null> {
  const { group, runId } = run.plan
  const workflowId = parkedWorkflowId(group, runId)
  await startChild(parkedRun, {
    workflowId,
    args: [run],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    staticSummary: `a gate holds the refresh of ${group}`,
  })
  try {
    await control.parkRun({ ...refOf(run.plan), workflowId })
  } catch (error) {
    // This run is taken back: nobody shall wait for a decision about it.
    await getExternalWorkflowHandle(workflowId).cancel()
    throw error
  }
  return null
}
