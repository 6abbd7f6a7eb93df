/** A whole backfill on workers that are killed, from the beginning of a restored store. */
import { randomUUID } from 'node:crypto'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { openStore } from '../../worker/openStore.ts'
import { endState } from './endState.ts'
import { attemptsOf, outlive, type Faults } from './killing.ts'
import { rewrite, type RestoredStore } from './restoredStore.ts'

export async function runKilled(temporal: TestWorkflowEnvironment, restored: RestoredStore, faults: Faults) {
  await (await restored.open()).close()
  const config = { ...restored.config, taskQueue: `test-${randomUUID()}` }
  const { client, address } = temporal
  const handle = await client.workflow.start('backfill', {
    taskQueue: config.taskQueue,
    workflowId: config.taskQueue,
    args: [rewrite],
  })
  const struck = await outlive(client, handle, config, address, faults)
  const store = await openStore(config)
  try {
    return { struck, attempts: await attemptsOf(handle), state: await endState(store, rewrite.group) }
  } finally {
    await store.close()
  }
}
