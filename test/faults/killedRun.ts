/** A whole run on workers that are killed, from the beginning of a restored store. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import type { Config } from '../../worker/config.ts'
import { openStore } from '../../worker/openStore.ts'
import { attemptsOf, outlive, startWorker, type Faults } from './killing.ts'
import type { RestoredStore } from './restoredStore.ts'

/** The run on one worker after the other, each of which dies at the next blow. */
export async function runKilled(temporal: TestWorkflowEnvironment, restored: RestoredStore, faults: Faults) {
  const { config, handle } = await startRun(temporal, restored)
  const struck = await outlive(temporal.client, handle, config, temporal.address, faults)
  return { struck, attempts: await attemptsOf(handle), state: await stateOf(restored) }
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
