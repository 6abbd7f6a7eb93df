/** The backfill: computes and publishes the intervals of a range, those that are missing or with `rewrite` all of them. */
import { makeContinueAsNewFunc, setHandler, workflowInfo } from '@temporalio/workflow'
import type { BackfillInput } from './contract.ts'
import { openGateDesk, type GateDesk } from './gateDesk.ts'
import { checkBackfillInput } from './input.ts'
import { newProgress, progressQuery, type RunProgress } from './progress.ts'
import { carryOut, refOf, type Begun, type CarriedRun, type RunResult } from './run.ts'
import { control } from './steps.ts'

export interface BackfillResult extends RunResult {
  /** The run over what was missed since the group went live, where the range had history and such intervals. */
  live: RunResult | null
}

/** What an execution hands to the next one. */
interface Carried {
  readonly side: 'history' | 'live'
  readonly run: CarriedRun
  /** The run over history, once that is done. */
  readonly history: RunResult | null
}

/** History and what was missed since the group went live are two runs (rule 6), one after the other. */
export async function backfill(input: BackfillInput, carried?: Carried): Promise<BackfillResult> {
  checkBackfillInput(input)
  // The first execution's id, because a Schedule may run one workflow id many times.
  const runId = workflowInfo().firstExecutionRunId
  const progress = newProgress(runId, input.group)
  const gate = openGateDesk(progress)
  setHandler(progressQuery, () => progress, { description: 'How far the run is, as data.' })
  const begun: Begun | null = carried === undefined ? null : { carried: carried.run }
  let leftForLive = carried?.run.plan.leftForLive ?? 0

  let history = carried?.history ?? null
  if (carried?.side !== 'live') {
    history = await carryOut(
      courseOf(input, {
        progress,
        gate,
        side: 'history',
        history: null,
        onPlan: (left) => (leftForLive = left),
      }),
      begun,
    )
  }
  const isOver = carried?.side !== 'live' && (leftForLive === 0 || history?.outcome === 'aborted')
  if (history !== null && isOver) return { ...history, live: null }
  Object.assign(progress, newProgress(liveRunId(runId), input.group))
  const live = await carryOut(
    courseOf(input, { progress, gate, side: 'live', history, onPlan: () => undefined }),
    carried?.side === 'live' ? begun : null,
  )
  return history === null ? { ...live, live: null } : { ...history, live }
}

/** Run ids ascend with time, and a later run's wins where all else is equal (rule 4). */
const liveRunId = (runId: string) => `${runId}.live`

interface Side extends Pick<Carried, 'side' | 'history'> {
  readonly progress: RunProgress
  readonly gate: GateDesk
  readonly onPlan: (leftForLive: number) => void
}

function courseOf(input: BackfillInput, { progress, gate, side, history, onPlan }: Side) {
  const { workflowId } = workflowInfo()
  return {
    progress,
    async plan() {
      const asked = { ...input, runId: progress.runId, workflowId }
      const plan = await control.planBackfill(side === 'live' ? { ...asked, side } : asked)
      onPlan(plan.leftForLive)
      return plan
    },
    async blocked({ plan }: { plan: Parameters<typeof refOf>[0] }) {
      await control.parkRun({ ...refOf(plan), workflowId })
      return gate.decide()
    },
    continueAsNew: (run: CarriedRun) =>
      makeContinueAsNewFunc<typeof backfill>()(input, { side, run, history }),
  }
}
