/**
 * The backfill: plan, compute, stage on a branch, judge, publish in one commit, materialize, record.
 *
 * Nothing that is not judged is ever visible: until `publishRun` moves `main`, all that the run made lies on a branch
 * of its own and under a prefix of its own, and `abandonRun` takes it back.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { BackfillInput, Override, PlannedRun, PublishedRun } from './contract.ts'
import { checkBackfillInput } from './input.ts'
import { failureTypes } from './names.ts'
import { newProgress, planned, progressQuery, show, type BackfillProgress } from './progress.ts'
import {
  checkGateDecision,
  resolveGateDescription,
  resolveGateUpdate,
  type GateDecision,
} from './resolveGate.ts'
import { compute, control, serve } from './steps.ts'

export interface BackfillResult {
  outcome: 'published' | 'nothing_to_do' | 'aborted'
  runId: string
  group: string
  intervals: number
  alreadyPublished: number
  rows: number
  snapshotId: string | null
  /** Entities whose online value was written; null for a group that is not served. */
  entities: number | null
}

/** How long a blocked run waits for a decision before it ends failed and is cleaned up. */
const gatePatience = '7 days'
/** How often a run starts again because others published first, before it gives up. */
const maximumConflicts = 20

/** Computes and publishes the intervals of a range: those that are missing, or with `rewrite` all of them. */
export async function backfill(input: BackfillInput): Promise<BackfillResult> {
  checkBackfillInput(input)
  // The first execution's id, because a Schedule may run one workflow id many times.
  const runId = workflowInfo().firstExecutionRunId
  const progress = newProgress(runId, input.group)
  const gate = openGateDesk(progress)
  setHandler(progressQuery, () => progress, { description: 'How far the run is, as data.' })
  try {
    const result = await runBackfill(input, progress, gate)
    show(progress, result.outcome)
    return result
  } catch (error) {
    await takeBack(progress, error)
    throw asWorkflowFailure(error)
  }
}

async function runBackfill(
  input: BackfillInput,
  progress: BackfillProgress,
  gate: GateDesk,
): Promise<BackfillResult> {
  for (let conflicts = 0; ;) {
    const plan = await computeRun(input, progress)
    if (plan.intervals === 0) {
      await control.recordRun({ ...refOf(plan), outcome: 'nothing_to_do' })
      return resultOf(plan, progress, 'nothing_to_do', null)
    }
    try {
      const decided = await judgeUntilPublished(plan, progress, gate)
      if (decided === 'retry') continue
      if (decided === 'abort') {
        await control.abandonRun({
          runId: plan.runId,
          group: plan.group,
          outcome: 'aborted',
          reason: gate.reason(),
        })
        return resultOf(plan, progress, 'aborted', null)
      }
      return await serveAndRecord(plan, progress, decided)
    } catch (error) {
      // Another run published some of these intervals: what is missing now is another question.
      if (failureTypeOf(error) !== failureTypes.overtaken || ++conflicts >= maximumConflicts) throw error
    }
  }
}

async function computeRun(input: BackfillInput, progress: BackfillProgress): Promise<PlannedRun> {
  show(progress, 'planning')
  const { workflowId } = workflowInfo()
  const plan = await control.planBackfill({ ...input, runId: progress.runId, workflowId })
  planned(progress, plan)
  for (let chunk = 0; chunk < plan.chunks; chunk++) {
    show(progress, 'computing')
    const { rows } = await compute.computeChunk.executeWithOptions(
      { summary: `chunk ${chunk + 1} of ${plan.chunks}` },
      [{ ...refOf(plan), chunk }],
    )
    progress.rows += rows
    progress.chunksDone += 1
  }
  return plan
}

/** Stages and judges until the run is published or a person decides otherwise. */
async function judgeUntilPublished(
  plan: PlannedRun,
  progress: BackfillProgress,
  gate: GateDesk,
): Promise<PublishedRun | 'retry' | 'abort'> {
  for (let conflicts = 0; ; conflicts++) {
    show(progress, 'staging')
    const staged = await control.stageRun(refOf(plan))
    show(progress, 'judging')
    const judgement = await compute.judgeRun({ ...refOf(plan), staged })
    progress.gates = judgement.gates
    progress.override = null
    let override: Override | undefined
    if (judgement.verdict === 'block') {
      await control.parkRun(refOf(plan))
      const decision = await gate.decide()
      if (decision.decision !== 'override') return decision.decision
      override = { name: decision.name ?? '', reason: decision.reason ?? '' }
      progress.override = override
    }
    show(progress, 'publishing')
    try {
      return await control.publishRun({ ...refOf(plan), staged, override })
    } catch (error) {
      // `main` moved under the run: its files go onto the new `main` and are judged there, an override included.
      if (failureTypeOf(error) !== failureTypes.conflict || conflicts + 1 >= maximumConflicts) throw error
    }
  }
}

async function serveAndRecord(
  plan: PlannedRun,
  progress: BackfillProgress,
  published: PublishedRun,
): Promise<BackfillResult> {
  let entities: number | null = null
  if (plan.online) {
    show(progress, 'materializing')
    entities = (await serve.materializeGroup({ group: plan.group })).entities
  }
  await control.recordRun({ ...refOf(plan), outcome: 'published', published })
  return { ...resultOf(plan, progress, 'published', published), entities }
}

/** Compensation: whatever ended the run, nothing of it stays behind unless it was published. */
async function takeBack(progress: BackfillProgress, error: unknown): Promise<void> {
  const outcome = isCancellation(error) ? 'cancelled' : 'failed'
  show(progress, outcome)
  await CancellationScope.nonCancellable(() =>
    control.abandonRun({ runId: progress.runId, group: progress.group, outcome, reason: messageOf(error) }),
  )
}

interface GateDesk {
  decide(): Promise<GateDecision>
  reason(): string
}

/** Takes `resolveGate` updates while a gate holds the run. */
function openGateDesk(progress: BackfillProgress): GateDesk {
  let waiting = false
  let decision: GateDecision | undefined
  setHandler(
    resolveGateUpdate,
    (given) => {
      decision = given
      waiting = false
      return `${given.decision}: taken`
    },
    {
      validator: (given: GateDecision) => checkGateDecision(given, waiting),
      description: resolveGateDescription,
    },
  )
  return {
    async decide() {
      decision = undefined
      waiting = true
      progress.waitingFor = `Waits for the update \`resolveGate\`. ${resolveGateDescription}`
      show(progress, 'waiting')
      const decided = await condition(() => decision !== undefined, gatePatience, {
        summary: 'a gate holds the run',
      })
      waiting = false
      progress.waitingFor = null
      if (!decided || decision === undefined) {
        throw ApplicationFailure.nonRetryable(
          `${progress.group}: a gate held the run and nobody decided within ${gatePatience}.`,
          'GateTimeout',
        )
      }
      return decision
    },
    reason: () => decision?.reason ?? 'aborted after a gate blocked',
  }
}

function refOf({ runId, group, planPath }: PlannedRun) {
  return { runId, group, planPath }
}

function resultOf(
  plan: PlannedRun,
  progress: BackfillProgress,
  outcome: BackfillResult['outcome'],
  published: PublishedRun | null,
): BackfillResult {
  const { runId, group, intervals, alreadyPublished } = plan
  const snapshotId = published?.snapshotId ?? null
  return {
    outcome,
    runId,
    group,
    intervals,
    alreadyPublished,
    rows: progress.rows,
    snapshotId,
    entities: null,
  }
}

function failureTypeOf(error: unknown): string | null | undefined {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure
    ? error.cause.type
    : null
}

function messageOf(error: unknown): string {
  if (isCancellation(error)) return 'cancelled'
  if (error instanceof ActivityFailure && error.cause !== undefined) return messageOf(error.cause)
  return error instanceof Error ? error.message : String(error)
}

/** The Temporal UI shows a workflow's own failure first: put the activity's sentence there. */
function asWorkflowFailure(error: unknown): unknown {
  if (isCancellation(error) || !(error instanceof ActivityFailure)) return error
  return ApplicationFailure.create({
    message: messageOf(error),
    type: failureTypeOf(error) ?? 'ActivityFailure',
    nonRetryable: true,
    cause: error,
  })
}
