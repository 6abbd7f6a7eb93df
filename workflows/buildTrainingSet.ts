/**
 * Builds a training set: labels joined with features as they would have been served at each label's time.
 *
 * The first step pins everything and names the set by it; whoever asks for the same thing on the same state gets the set
 * that is there, or waits for the workflow that builds it. The parts are built on any worker of the queue.
 */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  defineQuery,
  defineUpdate,
  isCancellation,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import type { FinishedTraining, PlannedTraining, TrainingInput } from './contract.ts'
import { asWorkflowFailure, messageOf } from './failure.ts'
import { checkTrainingInput } from './input.ts'
import { queryNames, searchAttributes, updateNames } from './names.ts'
import { compute, control } from './steps.ts'

/** Parts under way at once; each worker takes as many as it has room for. */
const partsAtOnce = 8

/** How often to look for the set that another workflow builds. */
const lookEvery = '2 seconds'

/** Answers with the plan as soon as there is one. */
export const planUpdate = defineUpdate<PlannedTraining>(updateNames.plan)

/** How far it is. */
export interface TrainingProgress {
  step: string
  /** Null before there is a plan. */
  id: string | null
  parts: number
  partsDone: number
  rows: number
}

export const trainingProgressQuery = defineQuery<TrainingProgress>(queryNames.progress)

interface Progress {
  step: string
  plan: PlannedTraining | null
  partsDone: number
  rows: number
  failed: boolean
}

export async function buildTrainingSet(input: TrainingInput): Promise<FinishedTraining> {
  const progress: Progress = { step: 'planning', plan: null, partsDone: 0, rows: 0, failed: false }
  setHandler(planUpdate, () => planOf(progress), {
    description: 'Waits for the plan: what is pinned, what is missing, and which set it is.',
  })
  setHandler(trainingProgressQuery, () => ({
    ...{ step: progress.step, id: progress.plan?.id ?? null, parts: progress.plan?.parts ?? 0 },
    ...{ partsDone: progress.partsDone, rows: progress.rows },
  }))
  try {
    checkTrainingInput(input)
    return await build(input, progress)
  } catch (error) {
    progress.failed = true
    const { plan } = progress
    if (plan?.state === 'mine') {
      const reason = isCancellation(error) ? 'cancelled' : messageOf(error)
      await CancellationScope.nonCancellable(() =>
        control.failTraining({ id: plan.id, runId: workflowInfo().firstExecutionRunId, reason }),
      )
    }
    throw asWorkflowFailure(error)
  }
}

async function planOf(progress: Progress): Promise<PlannedTraining> {
  await condition(() => progress.plan !== null || progress.failed)
  if (progress.plan !== null) return progress.plan
  throw ApplicationFailure.nonRetryable('The training set could not be planned; the workflow says why.')
}

async function build(request: TrainingInput, progress: Progress): Promise<FinishedTraining> {
  const { workflowId, firstExecutionRunId: runId } = workflowInfo()
  for (;;) {
    show(progress, 'planning')
    const plan = await compute.planTraining({ request, workflowId, runId })
    progress.plan = plan
    if (plan.state === 'mine') {
      await buildParts(plan, progress)
      show(progress, 'finishing')
      const result = await control.finishTraining({ planPath: plan.planPath })
      show(progress, 'finished', result)
      return result
    }
    const result = await waitFor(plan, progress)
    if (result !== null) {
      show(progress, 'finished', result)
      return result
    }
  }
}

/** Null where the workflow that built it has gone without an end: then this one takes over. */
async function waitFor({ id, state }: PlannedTraining, progress: Progress): Promise<FinishedTraining | null> {
  for (let looks = 0; ; looks++) {
    const found = await control.trainingState({ id })
    if (found.state !== 'building') return found.result
    if (looks === 0 && state === 'building') show(progress, 'waiting')
    await sleep(lookEvery)
  }
}

async function buildParts(plan: PlannedTraining, progress: Progress): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < plan.parts) {
      const part = next++
      const { rows } = await compute.buildTrainingPart.executeWithOptions(
        { summary: `part ${part + 1} of ${plan.parts}` },
        [{ planPath: plan.planPath, part }],
      )
      progress.partsDone += 1
      progress.rows += rows
      show(progress, 'joining')
    }
  }
  show(progress, 'joining')
  await Promise.all(Array.from({ length: Math.min(partsAtOnce, plan.parts) }, work))
}

function show(progress: Progress, step: string, result: FinishedTraining | null = null): void {
  progress.step = step
  upsertSearchAttributes([{ key: searchAttributes.status, value: step }])
  const { plan, partsDone, rows } = progress
  if (plan === null) {
    setCurrentDetails(step)
    return
  }
  const lines = [
    `**${plan.id}**: ${step}${plan.state === 'building' ? ` (built by ${plan.workflowId})` : ''}`,
    '',
    '| labels | columns | parts | rows |',
    '|---|---|---|---|',
    `| ${plan.labels} | ${plan.columns} | ${partsDone} of ${plan.parts} | ${rows} |`,
    '',
    '| features of | snapshot | matched | intervals that were never published |',
    '|---|---|---|---|',
    ...plan.groups.map(({ name, snapshotId, missingIntervals }, at) => {
      const rate = result?.groups[at]?.matchRate ?? null
      return `| ${name} | ${snapshotId ?? 'none'} | ${rate === null ? '' : `${(100 * rate).toFixed(1)} %`} | ${missingIntervals} |`
    }),
  ]
  if (result !== null) lines.push('', `Manifest: \`${result.manifestPath}\`, content ${result.contentHash}`)
  setCurrentDetails(lines.join('\n'))
}
