/**
 * The life of a run, whatever planned it: compute, stage on a branch, judge, publish in one commit, materialize, record.
 *
 * Nothing that is not judged is ever visible: until `publishRun` moves `main`, all that the run made lies on a branch
 * of its own and under a prefix of its own, and `abandonRun` takes it back.
 */
import { CancellationScope, ContinueAsNew, isCancellation, workflowInfo } from '@temporalio/workflow'
import type { Judgement, Override, PlannedRun, PublishedRun, StagedRun } from './contract.ts'
import { asWorkflowFailure, failureTypeOf, messageOf } from './failure.ts'
import { failureTypes } from './names.ts'
import { planned, show, type RunProgress } from './progress.ts'
import type { GateDecision } from './resolveGate.ts'
import { compute, control, serve } from './steps.ts'

export interface RunResult {
  /** `parked`: a gate blocks, and another workflow waits for the decision. */
  outcome: 'published' | 'nothing_to_do' | 'aborted' | 'parked'
  runId: string
  group: string
  intervals: number
  alreadyPublished: number
  /** Published intervals that were read again for late events. */
  reread: number
  /** Rows that were staged: of a live run those that are new or have changed. */
  rows: number
  /** Published rows that were not found any more. They stay; a backfill makes history anew. */
  vanished: number
  snapshotId: string | null
  /** Entities whose online value was written; null for a group that is not served. */
  entities: number | null
}

/** How a kind of run does what differs. */
export interface Course {
  readonly progress: RunProgress
  /** @param again what this run planned before, where it starts again */
  plan(again: PlannedRun | null): Promise<PlannedRun>
  /** What becomes of a run that a gate blocks; null where another workflow takes it from here. */
  blocked(run: BlockedRun): Promise<GateDecision | null>
  /** Goes on in a new execution, before the history of this one grows too long. Never returns. */
  continueAsNew(carried: CarriedRun): Promise<never>
}

/** A run between two chunks. */
export interface CarriedRun {
  readonly plan: PlannedRun
  readonly nextChunk: number
  readonly rows: number
  readonly vanished: number
}

/** A run that was staged and judged, and a gate blocks. */
export interface BlockedRun {
  readonly plan: PlannedRun
  readonly staged: StagedRun
  readonly judgement: Judgement
}

/** Where a run begins that another execution has begun. */
export type Begun = { readonly carried: CarriedRun } | { readonly blocked: BlockedRun }

/** How often a run starts again because others published first, before it gives up. */
const maximumConflicts = 20

/** Carries a run out, and takes it back whatever fails. */
export async function carryOut(course: Course, begun: Begun | null = null): Promise<RunResult> {
  try {
    const result = await run(course, begun)
    show(course.progress, result.outcome)
    return result
  } catch (error) {
    // Temporal ends an execution that continues as new by an error.
    if (error instanceof ContinueAsNew) throw error
    await takeBack(course.progress, error)
    throw asWorkflowFailure(error)
  }
}

async function run(course: Course, begun: Begun | null): Promise<RunResult> {
  const { progress } = course
  let blocked = begun !== null && 'blocked' in begun ? begun.blocked : null
  let carried = begun !== null && 'carried' in begun ? begun.carried : null
  let last: PlannedRun | null = null
  for (let conflicts = 0; ;) {
    const plan: PlannedRun = blocked?.plan ?? carried?.plan ?? (await planRun(course, last))
    last = plan
    if (blocked === null) await computeRun(course, plan, carried)
    else takeOver(progress, blocked)
    if (plan.intervals === 0 && progress.rows === 0) {
      await control.recordRun({ ...refOf(plan), outcome: 'nothing_to_do' })
      return resultOf(plan, progress, 'nothing_to_do')
    }
    try {
      const decided = await judgeUntilPublished(course, plan, blocked)
      ;[blocked, carried] = [null, null]
      if (decided === 'retry') continue
      if (decided === 'parked') return resultOf(plan, progress, 'parked')
      if ('aborted' in decided) return await abort(plan, progress, decided.aborted)
      return await serveAndRecord(plan, progress, decided)
    } catch (error) {
      ;[blocked, carried] = [null, null]
      // Another run published some of these intervals: what is missing now is another question.
      if (failureTypeOf(error) !== failureTypes.overtaken || ++conflicts >= maximumConflicts) throw error
    }
  }
}

async function planRun({ progress, plan }: Course, last: PlannedRun | null): Promise<PlannedRun> {
  show(progress, 'planning')
  const made = await plan(last)
  planned(progress, made)
  return made
}

function takeOver(progress: RunProgress, { plan, staged }: BlockedRun): void {
  planned(progress, plan)
  Object.assign(progress, { chunksDone: plan.chunks, rows: staged.rows })
}

async function computeRun(course: Course, plan: PlannedRun, carried: CarriedRun | null): Promise<void> {
  const { progress } = course
  if (carried !== null) {
    planned(progress, plan)
    const { nextChunk: chunksDone, rows, vanished } = carried
    Object.assign(progress, { chunksDone, rows, vanished })
  }
  for (let chunk = carried?.nextChunk ?? 0; chunk < plan.chunks; chunk++) {
    show(progress, 'computing')
    const { rows, vanished } = await compute.computeChunk.executeWithOptions(
      { summary: `chunk ${chunk + 1} of ${plan.chunks}` },
      [{ ...refOf(plan), chunk }],
    )
    progress.rows += rows
    progress.vanished += vanished
    progress.chunksDone += 1
    if (workflowInfo().continueAsNewSuggested && chunk + 1 < plan.chunks) {
      const { rows: sum, vanished: lost } = progress
      await course.continueAsNew({ plan, nextChunk: chunk + 1, rows: sum, vanished: lost })
    }
  }
}

type Decided = PublishedRun | 'retry' | 'parked' | { readonly aborted: string }

/** Stages and judges until the run is published or a person decides otherwise. */
async function judgeUntilPublished(
  course: Course,
  plan: PlannedRun,
  blocked: BlockedRun | null,
): Promise<Decided> {
  const { progress } = course
  let from = blocked
  let overridden: { by: Override; gates: readonly string[] } | null = null
  for (let conflicts = 0; ; conflicts++) {
    const { staged, judgement }: BlockedRun = from ?? (await stageAndJudge(progress, plan))
    from = null
    progress.gates = judgement.gates
    const blocking = blockingGates(judgement)
    // On a newer `main` a run is judged anew; who let it through did so in the knowledge of these gates.
    const isKnown = blocking.every((name) => overridden?.gates.includes(name))
    if (blocking.length > 0 && !isKnown) {
      const decision = await course.blocked({ plan, staged, judgement })
      if (decision === null) return 'parked'
      if (decision.decision === 'retry') return 'retry'
      if (decision.decision === 'abort') return { aborted: decision.reason ?? 'aborted after a gate blocked' }
      overridden = { by: { name: decision.name ?? '', reason: decision.reason ?? '' }, gates: blocking }
    }
    const override = blocking.length === 0 ? undefined : overridden?.by
    progress.override = override ?? null
    show(progress, 'publishing')
    try {
      return await control.publishRun({ ...refOf(plan), staged, override })
    } catch (error) {
      // `main` moved under the run: its files go onto the new `main` and are judged there.
      if (failureTypeOf(error) !== failureTypes.conflict || conflicts + 1 >= maximumConflicts) throw error
    }
  }
}

const blockingGates = ({ gates }: Judgement): string[] =>
  gates.filter(({ verdict }) => verdict === 'block').map(({ name }) => name)

async function stageAndJudge(progress: RunProgress, plan: PlannedRun): Promise<BlockedRun> {
  show(progress, 'staging')
  const staged = await control.stageRun(refOf(plan))
  show(progress, 'judging')
  return { plan, staged, judgement: await compute.judgeRun({ ...refOf(plan), staged }) }
}

async function abort(plan: PlannedRun, progress: RunProgress, reason: string): Promise<RunResult> {
  await control.abandonRun({ runId: plan.runId, group: plan.group, outcome: 'aborted', reason })
  return resultOf(plan, progress, 'aborted')
}

async function serveAndRecord(
  plan: PlannedRun,
  progress: RunProgress,
  published: PublishedRun,
): Promise<RunResult> {
  let entities: number | null = null
  if (plan.online) {
    show(progress, 'materializing')
    entities = (await serve.materializeGroup({ group: plan.group })).entities
  }
  await control.recordRun({ ...refOf(plan), outcome: 'published', published })
  return { ...resultOf(plan, progress, 'published'), snapshotId: published.snapshotId, entities }
}

/** Compensation: whatever ended the run, nothing of it stays behind unless it was published. */
async function takeBack(progress: RunProgress, error: unknown): Promise<void> {
  const outcome = isCancellation(error) ? 'cancelled' : 'failed'
  show(progress, outcome)
  await CancellationScope.nonCancellable(() =>
    control.abandonRun({ runId: progress.runId, group: progress.group, outcome, reason: messageOf(error) }),
  )
}

export function refOf({ runId, group, planPath }: PlannedRun) {
  return { runId, group, planPath }
}

function resultOf(plan: PlannedRun, progress: RunProgress, outcome: RunResult['outcome']): RunResult {
  const { runId, group, intervals, alreadyPublished, reread } = plan
  const { rows, vanished } = progress
  return {
    ...{ outcome, runId, group, intervals, alreadyPublished, reread, rows, vanished },
    ...{ snapshotId: null, entities: null },
  }
}
