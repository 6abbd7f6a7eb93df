/** A run whose history grows too long goes on in a new execution, as the same run. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'
import { writeOrders } from '../support/orders.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'shop_orders_v1'
const folder = temporaryFolder('continue')
const orders = join(folder, 'orders')
let patient: TestWorkflowEnvironment
let hasty: TestWorkflowEnvironment
const running: RunningStore[] = []

beforeAll(async () => {
  await writeOrders(orders, ['2024-01-01', '2024-02-10', '2024-05-01', '2024-07-01', '2024-12-31'])
  patient = await startTemporal()
  // A server that asks for a new execution after forty events; others do after thousands.
  hasty = await startTemporal({ dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 40 } })
})

afterAll(async () => {
  for (const store of running) await store.stop()
  await patient?.teardown()
  await hasty?.teardown()
})

async function backfillYear(
  temporal: TestWorkflowEnvironment,
  name: string,
  before?: (store: RunningStore) => Promise<void>,
) {
  const store = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, name),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: before === undefined ? '2025-01-01T00:30:00Z' : '2024-02-11T00:30:00Z',
    },
    folder,
  )
  running.push(store)
  await applyRegistration(store.store, await planRegistration(store.store))
  await before?.(store)
  const input = { group, from: '2024-01-02', to: '2024-12-31' }
  const options = { taskQueue: store.taskQueue, workflowId: name, args: [input] }
  const handle = await store.client.workflow.start('backfill', options)
  const result = (await handle.result()) as BackfillResult
  return { store, result, first: handle.firstExecutionRunId }
}

test('a year in several executions is the year in one', async () => {
  const one = await backfillYear(patient, 'one')
  const several = await backfillYear(hasty, 'several')
  const executions = []
  for await (const { runId } of hasty.client.workflow.list({ query: 'WorkflowId = "several"' })) {
    executions.push(runId)
  }
  expect(executions.length).toBeGreaterThan(2)
  expect(several.result).toEqual({
    ...one.result,
    runId: several.first,
    snapshotId: several.result.snapshotId,
  })
  expect(several.result.rows).toBeGreaterThan(1_000)
  const rows = await publishedRows(several.store.store, group)
  expect(rows).toEqual(await publishedRows(one.store.store, group))
  expect(rows).toHaveLength(several.result.rows)
  expect(await tableRefs(several.store.store, group)).toEqual(['main'])
  expect(await orphanFiles(several.store.store, group)).toEqual([])
})

test('what was missed since a group went live is not forgotten on the way', async () => {
  const { store } = await backfillYear(hasty, 'both', async ({ store: { registry }, client, taskQueue }) => {
    await client.workflow.execute('refresh', { taskQueue, workflowId: 'live', args: [{ group }] })
    await moveStoreClock(registry, { to: Date.parse('2025-01-01T00:30:00Z') })
  })
  const published = await store.store.registry.published(group, { from: 0, to: Date.parse('2025-01-01') })
  expect(published).toHaveLength((Date.parse('2024-12-31') - Date.parse('2024-01-02')) / 36e5)
  const runs = await store.store.registry.runs({ group })
  expect(runs.map(({ mode, status, intervals }) => [mode, status, intervals])).toEqual(
    expect.arrayContaining([
      ['backfill', 'published', 324 * 24],
      ['backfill', 'published', 40 * 24 - 1],
      ['refresh', 'published', 1],
    ]),
  )
  expect(await tableRefs(store.store, group)).toEqual(['main'])
  expect(await orphanFiles(store.store, group)).toEqual([])
})
