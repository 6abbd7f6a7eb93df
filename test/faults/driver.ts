/**
 * A backfill without Temporal: the steps in the workflow's order, each tried again as Temporal would, and the whole
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

/** @returns the run's id, and what went wrong on the way, such as `stageRun: …` */
export async function driveBackfill(
  attempt: Attempt,
  input: BackfillInput,
  patience = asTemporal,
): Promise<{ runId: string; outcome: string; errors: string[] }> {
  const runId = randomUUID()
  const errors: string[] = []
  const step = async <T>(name: string, call: (activities: Activities) => Promise<T>): Promise<T> => {
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
    const plan = await step('planBackfill', ({ planBackfill }) =>
      planBackfill({ ...input, runId, workflowId: `driven/${runId}` }),
    )
    await computeAndPublish(step, plan)
    return { runId, outcome: 'published', errors }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (!patience.takesBack) return { runId, outcome: reason, errors }
    await step('abandonRun', ({ abandonRun }) =>
      abandonRun({ runId, group: input.group, outcome: 'failed', reason }),
    )
    return { runId, outcome: reason, errors }
  }
}

type Step = <T>(name: string, call: (activities: Activities) => Promise<T>) => Promise<T>

async function computeAndPublish(step: Step, plan: PlannedRun): Promise<void> {
  for (let chunk = 0; chunk < plan.chunks; chunk++) {
    await step('computeChunk', ({ computeChunk }) => computeChunk({ ...plan, chunk }))
  }
  const published = await stageAndPublish(step, plan)
  await step('materializeGroup', ({ materializeGroup }) => materializeGroup({ group: plan.group }))
  await step('recordRun', ({ recordRun }) => recordRun({ ...plan, outcome: 'published', published }))
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
