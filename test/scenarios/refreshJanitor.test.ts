/** The janitor beside runs of live groups: those that wait elsewhere than where they began, and those that were terminated. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { durationMs } from '../../model/index.ts'
import { openDuckDb } from '../../offline/index.ts'
import type { Run } from '../../registry/index.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import { updateNames } from '../../workflows/names.ts'
import { letArrive, makeLateOrders } from '../support/lateOrders.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'week_4h_v1'
const folder = temporaryFolder('refresh-janitor')
const at = (text: string) => Date.parse(text)
const override = { decision: 'override', name: 'Ada', reason: 'the order is real' }
let temporal: TestWorkflowEnvironment
const running: RunningStore[] = []

beforeAll(async () => {
  temporal = await startTemporal()
})

afterAll(async () => {
  for (const store of running) await store.stop()
  await temporal?.teardown()
})

/** Live since midnight, and it is 04:15: a dear order will block the interval that came due. */
async function openShop(name: string): Promise<RunningStore> {
  const duckdb = await openDuckDb({ memoryLimit: '500MB', threads: 1, tempDirectory: join(folder, 'spill') })
  const orders = await makeLateOrders({
    ...{ duckdb, folder: join(folder, name), from: '2024-01-01', days: 3 },
    ...{ latenessMs: durationMs('10h'), seed: 5, dearAt: '2024-01-03T02:30:00' },
  })
  await letArrive(orders, 0, at('2024-01-05'))
  await duckdb.close()
  const shop = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, name, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/week.ts', import.meta.url)),
      ORDERS_PATH: orders.source,
      ASOF_CLOCK: '2024-01-03T00:15:00Z',
    },
    folder,
  )
  running.push(shop)
  await applyRegistration(shop.store, await planRegistration(shop.store))
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'published', intervals: 1 })
  await moveStoreClock(shop.store.registry, { to: at('2024-01-03T04:15:00Z') })
  return shop
}

const start = ({ client, taskQueue }: RunningStore, type: string, input: object) =>
  client.workflow.start(type, { taskQueue, workflowId: `${type}-${randomUUID()}`, args: [input] })
const run = async (shop: RunningStore, type: string, input: object): Promise<unknown> =>
  (await start(shop, type, input)).result()
const sweep = (shop: RunningStore) => run(shop, 'janitor', { group, olderThan: '0s' })

async function waitingRun({ store }: RunningStore): Promise<Run> {
  for (;;) {
    const [waiting] = await store.registry.runs({ group, statuses: ['waiting'] })
    if (waiting !== undefined) return waiting
    await sleep(50)
  }
}

/** It waits in the registry a moment before it can be told. */
async function letThrough(shop: RunningStore, { workflowId }: Run): Promise<unknown> {
  const handle = shop.client.workflow.getHandle(workflowId)
  for (let isTold = false; !isTold;) {
    await sleep(50)
    isTold = await handle.executeUpdate(updateNames.resolveGate, { args: [override] }).then(
      () => true,
      () => false,
    )
  }
  return handle.result()
}

/** Nothing of the run is left, and nothing that was published is gone. */
async function expectTakenBack(shop: RunningStore, { runId }: Run, rows: readonly string[]): Promise<void> {
  expect(await sweep(shop)).toMatchObject({ runs: 1 })
  expect((await shop.store.registry.run(runId))?.status).toBe('failed')
  expect(await tableRefs(shop.store, group)).toEqual(['main'])
  expect(await orphanFiles(shop.store, group)).toEqual([])
  expect(await publishedRows(shop.store, group)).toEqual(rows)
  expect(await shop.store.registry.heldIntervals(group, '')).toEqual([])
}

/** The janitor comes by, and the run is as it was. */
async function expectLeft(shop: RunningStore, { runId }: Run): Promise<void> {
  expect(await sweep(shop)).toMatchObject({ runs: 0, branches: 0, files: 0 })
  expect((await shop.store.registry.run(runId))?.status).toBe('waiting')
  expect(await tableRefs(shop.store, group)).toEqual(['main', `run-${runId}`])
}

test('a parked refresh that waits is left, a terminated one taken back and computed by the next', async () => {
  const shop = await openShop('parked')
  const rows = await publishedRows(shop.store, group)
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'parked', intervals: 1 })
  const parked = await waitingRun(shop)
  expect(parked.workflowId).toBe(`parked/${group}/${parked.runId}`)
  await expectLeft(shop, parked)
  await shop.client.workflow.getHandle(parked.workflowId).terminate('nobody cleans up after a terminate')
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'nothing_to_do', intervals: 0 })
  await expectTakenBack(shop, parked, rows)

  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'parked', intervals: 1 })
  expect(await letThrough(shop, await waitingRun(shop))).toMatchObject({ outcome: 'published', intervals: 1 })
  expect(await sweep(shop)).toMatchObject({ runs: 0, branches: 0, snapshots: 0 })
  expect(await orphanFiles(shop.store, group)).toEqual([])
  expect((await publishedRows(shop.store, group)).length).toBe(rows.length + 7)
})

test('the same for the live side of a backfill, whose run is not named after its workflow', async () => {
  const shop = await openShop('two-sides')
  const backfillFrom = (from: string) => start(shop, 'backfill', { group, from, to: '2024-01-03T04:00:00Z' })
  const terminated = await backfillFrom('2024-01-02T16:00:00Z')
  const lost = await waitingRun(shop)
  expect(lost.runId).toBe(`${terminated.firstExecutionRunId}.live`)
  const rows = await publishedRows(shop.store, group)
  await terminated.terminate('nobody cleans up after a terminate')
  await expectTakenBack(shop, lost, rows)

  // Four more hours of history, so that this one has two sides too.
  const { firstExecutionRunId } = await backfillFrom('2024-01-02T12:00:00Z')
  const open = await waitingRun(shop)
  expect(open.runId).toBe(`${firstExecutionRunId}.live`)
  await expectLeft(shop, open)
  expect(await letThrough(shop, open)).toMatchObject({
    live: { runId: open.runId, outcome: 'published', intervals: 1 },
  })
  expect(await sweep(shop)).toMatchObject({ runs: 0, branches: 0, snapshots: 0 })
  expect(await orphanFiles(shop.store, group)).toEqual([])
  expect((await publishedRows(shop.store, group)).length).toBe(rows.length + 2 * 7)
})
