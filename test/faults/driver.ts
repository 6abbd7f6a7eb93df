/**
 * A backfill or a refresh without Temporal: the steps in the workflow's order, each tried again as Temporal would, and the whole
 * started anew where the workflow would.
 */
import { randomUUID } from 'node:crypto'
import { ApplicationFailure } from '@temporalio/common'
import type { Activities, BackfillInput, PlannedRun } from '../../workflows/contract.ts'
import { failureTypes } from '../../workflows/names.ts'

/** Makes the activities of one attempt. */
export type Attempt = () => Activities

export interface Patience {
  /** Of each step. */
  readonly attempts: number
  /** Whether a run that failed is taken back; a workflow that is terminated does nothing any more. */
  readonly takesBack: boolean
}
export const asTemporal: Patience = { attempts: 20, takesBack: true }
export const terminated: Patience = { attempts: 1, takesBack: false }

export interface Driven {
  readonly runId: string
  readonly outcome: string
  /** What went wrong on the way, such as `stageRun: …`. */
  readonly errors: string[]
}

export function driveBackfill(
  attempt: Attempt,
  input: BackfillInput,
  patience = asTemporal,
): Promise<Driven> {
  return drive(attempt, input.group, patience, (step, run) =>
    step('planBackfill', ({ planBackfill }) => planBackfill({ ...input, ...run })),
  )
}

export function driveRefresh(attempt: Attempt, group: string, patience = asTemporal): Promise<Driven> {
  return drive(attempt, group, patience, (step, run) =>
    step('planRefresh', ({ planRefresh }) => planRefresh({ group, ...run })),
  )
}

type Step = <T>(name: string, call: (activities: Activities) => Promise<T>) => Promise<T>

async function drive(
  attempt: Attempt,
  group: string,
  patience: Patience,
  planned: (step: Step, run: { runId: string; workflowId: string }) => Promise<PlannedRun>,
): Promise<Driven> {
  const runId = randomUUID()
  const errors: string[] = []
  const step: Step = async (name, call) => {
    for (let count = 1; ; count++) {
      try {
        return await call(attempt())
      } catch (error) {
        errors.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
        if (count === patience.attempts || isFinal(error)) throw error
      }
    }
  }
  try {
    const plan = await planned(step, { runId, workflowId: `driven/${runId}` })
    return { runId, outcome: await computeAndPublish(step, plan), errors }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (!patience.takesBack) return { runId, outcome: reason, errors }
    await step('abandonRun', ({ abandonRun }) => abandonRun({ runId, group, outcome: 'failed', reason }))
    return { runId, outcome: reason, errors }
  }
}

async function computeAndPublish(step: Step, plan: PlannedRun): Promise<string> {
  let found = 0
  for (let chunk = 0; chunk < plan.chunks; chunk++) {
    found += (await step('computeChunk', ({ computeChunk }) => computeChunk({ ...plan, chunk }))).rows
  }
  if (plan.intervals === 0 && found === 0) {
    await step('recordRun', ({ recordRun }) => recordRun({ ...plan, outcome: 'nothing_to_do' }))
    return 'nothing_to_do'
  }
  const published = await stageAndPublish(step, plan)
  await step('materializeGroup', ({ materializeGroup }) => materializeGroup({ group: plan.group }))
  await step('recordRun', ({ recordRun }) => recordRun({ ...plan, outcome: 'published', published }))
  return 'published'
}

async function stageAndPublish(step: Step, plan: PlannedRun) {
  for (;;) {
    const staged = await step('stageRun', ({ stageRun }) => stageRun(plan))
    await step('judgeRun', ({ judgeRun }) => judgeRun({ ...plan, staged }))
    try {
      return await step('publishRun', ({ publishRun }) => publishRun({ ...plan, staged }))
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.type !== failureTypes.conflict) throw error
    }
  }
}

const finalTypes: readonly string[] = Object.values(failureTypes)
const isFinal = (error: unknown): boolean =>
  error instanceof ApplicationFailure &&
  (error.nonRetryable === true || finalTypes.includes(error.type ?? ''))
