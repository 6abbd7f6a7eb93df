/** Query groups, map groups and SQL sources through registration and the whole workflow, on real components. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WorkflowFailedError } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { query } from '../../offline/index.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import { writeOrders } from '../support/orders.ts'
import { publishedRows } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('ways')
const orders = join(folder, 'orders')
let temporal: TestWorkflowEnvironment
let store: RunningStore

beforeAll(async () => {
  temporal = await startTemporal()
  await writeOrders(orders, ['2024-01-01', '2024-01-02', '2024-01-03'])
  store = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/waysOfComputing.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-04T00:30:00Z',
    },
    folder,
  )
  await applyRegistration(store.store, await planRegistration(store.store))
})

afterAll(async () => {
  await store?.stop()
  await temporal?.teardown()
})

const backfill = (group: string): Promise<BackfillResult> =>
  store.client.workflow.execute('backfill', {
    taskQueue: store.taskQueue,
    workflowId: `${store.taskQueue}-${group}`,
    args: [{ group, from: '2024-01-02', to: '2024-01-04' }],
  }) as Promise<BackfillResult>

test('a query group takes rows as they are, with the moment at which they could be served', async () => {
  const result = await backfill('orders_as_they_are_v1')
  expect(result).toMatchObject({ outcome: 'published', intervals: 48 })
  const connection = await store.store.duckdb.connect()
  try {
    const expected = await query(
      connection,
      `SELECT country, CAST(shop AS VARCHAR) AS shop, CAST("at" AT TIME ZONE 'UTC' AS VARCHAR) AS event, CAST(("at" + INTERVAL 10 SECONDS) AT TIME ZONE 'UTC' AS VARCHAR) AS created, price
       FROM read_parquet('${orders}/*.parquet') WHERE "at" > TIMESTAMP '2024-01-02' AND "at" <= TIMESTAMP '2024-01-04' ORDER BY ALL`,
    )
    const published = await publishedRows(store.store, 'orders_as_they_are_v1')
    expect(published).toEqual(expected.map((row) => JSON.stringify(Object.values(row))))
    expect(published.length).toBeGreaterThan(500)
  } finally {
    connection.closeSync()
  }
})

test('rows outside their interval fail the run and publish nothing', async () => {
  const failure: unknown = await backfill('orders_outside_v1').catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(WorkflowFailedError)
  const { cause } = failure as WorkflowFailedError
  expect(String(cause?.message)).toMatch(
    /orders_outside_v1: \d+ rows of the query lie outside their interval/,
  )
  expect(await publishedRows(store.store, 'orders_outside_v1')).toEqual([])
})

test('a function and aggregates over a SQL source that do the same sums publish the same rows', async () => {
  expect(await backfill('orders_mapped_v1')).toMatchObject({ outcome: 'published', intervals: 48 })
  expect(await backfill('orders_aggregated_v1')).toMatchObject({ outcome: 'published', intervals: 48 })
  const mapped = await publishedRows(store.store, 'orders_mapped_v1')
  expect(mapped.length).toBeGreaterThan(500)
  expect(mapped).toEqual(await publishedRows(store.store, 'orders_aggregated_v1'))
})
