/** What the workflows do, step by step, without a server. */
import { randomUUID } from 'node:crypto'
import { createActivities } from '../../activities/index.ts'
import type { Store } from '../../worker/openStore.ts'
import type { BackfillInput, FinishedTraining, PlannedRun, TrainingInput } from '../../workflows/contract.ts'

type Steps = ReturnType<typeof createActivities>

async function publish(steps: Steps, run: PlannedRun): Promise<PlannedRun> {
  let rows = 0
  for (let chunk = 0; chunk < run.chunks; chunk++) rows += (await steps.computeChunk({ ...run, chunk })).rows
  if (run.intervals === 0 && rows === 0) {
    await steps.recordRun({ ...run, outcome: 'nothing_to_do' })
    return run
  }
  const staged = await steps.stageRun(run)
  const { verdict, gates } = await steps.judgeRun({ ...run, staged })
  if (verdict === 'block') throw new Error(gates.map(({ sentence }) => sentence).join(' '))
  const published = await steps.publishRun({ ...run, staged })
  await steps.materializeGroup({ group: run.group })
  await steps.recordRun({ ...run, outcome: 'published', published })
  return run
}

export async function backfill(store: Store, input: BackfillInput): Promise<PlannedRun> {
  const steps = createActivities(store)
  return publish(steps, await steps.planBackfill({ ...input, runId: randomUUID(), workflowId: 'backfill' }))
}

export async function refresh(store: Store, group: string): Promise<PlannedRun> {
  const steps = createActivities(store)
  return publish(steps, await steps.planRefresh({ group, runId: randomUUID(), workflowId: 'refresh' }))
}

export async function buildTraining(store: Store, request: TrainingInput): Promise<FinishedTraining> {
  const steps = createActivities(store)
  const plan = await steps.planTraining({ request, runId: randomUUID(), workflowId: 'training' })
  for (let part = 0; part < plan.parts; part++) {
    await steps.buildTrainingPart({ planPath: plan.planPath, part })
  }
  return steps.finishTraining({ planPath: plan.planPath })
}
