/** A whole run on workers that are killed, from the beginning of a restored store. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import type { Config } from '../../worker/config.ts'
import { openStore } from '../../worker/openStore.ts'
import { parkedWorkflowId, queryNames, updateNames } from '../../workflows/names.ts'
import type { RunProgress } from '../../workflows/progress.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import { attemptsOf, outlive, startWorker, type Blow, type Faults } from './killing.ts'
import type { RestoredStore } from './restoredStore.ts'

/** The run on one worker after the other, each of which dies at the next blow. */
export async function runKilled(temporal: TestWorkflowEnvironment, restored: RestoredStore, faults: Faults) {
  const { config, handle } = await startRun(temporal, restored)
  const struck = await outlive(temporal.client, handle, config, temporal.address, faults)
  return { struck, attempts: await attemptsOf(handle), state: await stateOf(restored) }
}

/** When workers of a refresh die that a gate blocks and a person lets through. */
export interface ParkedBlows {
  readonly parking: readonly Blow[]
  readonly whileWaiting: boolean
  readonly publishing: readonly Blow[]
}

/** A refresh that parks, waits and is published by an override, on one worker after the other. */
export async function runKilledParked(
  temporal: TestWorkflowEnvironment,
  restored: RestoredStore,
  faults: Omit<Faults, 'blows'>,
  { parking, whileWaiting, publishing }: ParkedBlows,
) {
  const { client, address } = temporal
  const { config, handle } = await startRun(temporal, restored)
  const whenParking = await outlive(client, handle, config, address, { ...faults, blows: parking })
  const parked = parkedOf(temporal, restored, handle)
  if (whileWaiting) {
    const worker = startWorker(config, address, { ...faults, blows: [] })
    await untilWaiting(parked)
    worker.child.kill('SIGKILL')
    await worker.ended
  }
  const decided = decide(parked, override)
  decided.catch(() => undefined)
  const whenPublishing = await outlive(client, parked, config, address, { ...faults, blows: publishing })
  await decided
  return {
    struck: [...whenParking, ...whenPublishing],
    attempts: [...(await attemptsOf(handle)), ...(await attemptsOf(parked))],
    state: await stateOf(restored),
  }
}

export const override = { decision: 'override', name: 'Ada', reason: 'the order is real' } as const

/** The workflow to which a refresh that a gate blocks leaves its run. */
export function parkedOf(
  { client }: TestWorkflowEnvironment,
  { run }: RestoredStore,
  { firstExecutionRunId }: { readonly firstExecutionRunId: string },
): WorkflowHandle {
  return client.workflow.getHandle(parkedWorkflowId(run.group, firstExecutionRunId))
}

/** Says the decision again until the workflow has got as far as to wait for one; a worker is there, or comes. */
export async function decide(parked: WorkflowHandle, decision: GateDecision): Promise<void> {
  for (;;) {
    try {
      await parked.executeUpdate(updateNames.resolveGate, { args: [decision] })
      return
    } catch (error) {
      if (!(error instanceof WorkflowUpdateFailedError)) throw error
      await sleep(100)
    }
  }
}

/** A worker is there to answer. */
export async function untilWaiting(handle: WorkflowHandle): Promise<void> {
  while ((await handle.query<RunProgress>(queryNames.progress)).step !== 'waiting') await sleep(50)
}

/**
 * The run on workers that know only workflows or only steps, one at a time: every step is scheduled while nobody is
 * there who could take it, and both kinds are killed once they have done their part.
 * @returns the steps that have waited
 */
export async function runScheduledAlone(
  temporal: TestWorkflowEnvironment,
  restored: RestoredStore,
  faults: Faults,
) {
  const { config, handle } = await startRun(temporal, restored)
  const waited: string[] = []
  for (;;) {
    const planner = startWorker(config, temporal.address, { ...faults, only: 'workflows' })
    const next = await untilScheduled(handle)
    planner.child.kill('SIGKILL')
    await planner.ended
    if (next === null) return { waited, state: await stateOf(restored) }
    waited.push(next)
    const doer = startWorker(config, temporal.address, { ...faults, only: 'activities' })
    while ((await handle.describe()).raw.pendingActivities?.length) await sleep(50)
    doer.child.kill('SIGKILL')
    await doer.ended
  }
}

export async function startRun(temporal: TestWorkflowEnvironment, restored: RestoredStore) {
  await (await restored.open()).close()
  const config: Config = { ...restored.config, taskQueue: `test-${randomUUID()}` }
  const handle = await temporal.client.workflow.start(restored.run.workflow, {
    taskQueue: config.taskQueue,
    workflowId: config.taskQueue,
    args: [restored.run.input],
  })
  return { config, handle }
}

/** The step that waits for a worker, or null once the workflow is done. */
async function untilScheduled(handle: WorkflowHandle): Promise<string | null> {
  for (;;) {
    const { raw, status } = await handle.describe()
    if (status.name !== 'RUNNING') return null
    const [pending] = raw.pendingActivities ?? []
    if (pending) return pending.activityType?.name ?? ''
    await sleep(50)
  }
}

export async function stateOf({ config, run }: RestoredStore) {
  const store = await openStore(config)
  try {
    return await run.endState(store)
  } finally {
    await store.close()
  }
}
