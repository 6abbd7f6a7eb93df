/** A worker that is told to stop ends with the chunk that it computes; the next one goes on behind it. */
import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { openStore } from '../../worker/openStore.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import { orphanFiles } from '../support/published.ts'
import { writeOrders } from '../support/orders.ts'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { attemptsOf, bundledWorkflows, endWorkers, startWorker } from './killing.ts'

const group = 'shop_orders_v1'
const folder = temporaryFolder('shutdown')
let temporal: TestWorkflowEnvironment
let config: Config

beforeAll(async () => {
  temporal = await startTemporal()
  const orders = join(folder, 'orders')
  const days = Array.from({ length: 12 }, (_, at) => new Date(Date.UTC(2024, 0, 1 + 7 * at)))
  await writeOrders(
    orders,
    days.map((day) => day.toISOString().slice(0, 10)),
  )
  config = readConfig(
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-04-01T00:30:00Z',
      ASOF_THREADS: '1',
      ASOF_MEMORY_LIMIT: '512MB',
      ASOF_TASK_QUEUE: `test-${randomUUID()}`,
    },
    folder,
  )
  const store = await openStore(config)
  await applyRegistration(store, await planRegistration(store))
  await store.close()
})

afterAll(async () => {
  endWorkers()
  await temporal?.teardown()
})

/** The done chunks of the run that is under way, with when each was done. */
async function chunks(): Promise<{ path: string; doneMs: number }[]> {
  const store = await openStore(config)
  try {
    const { location } = await store.catalog.loadTable({ namespace: store.store, name: group })
    const found: { path: string; doneMs: number }[] = []
    for await (const path of store.fileIO.list(`${location}/runs`)) {
      if (!/chunk-\d+\.json$/.test(path)) continue
      found.push({ path, doneMs: statSync(store.fileIO.localPath(path)).mtimeMs })
    }
    return found.sort((left, right) => left.path.localeCompare(right.path))
  } finally {
    await store.close()
  }
}

test('SIGTERM while a chunk computes', { timeout: 120_000 }, async () => {
  const faults = { folder, bundle: await bundledWorkflows(folder), blows: [] }
  const handle = await temporal.client.workflow.start('backfill', {
    taskQueue: config.taskQueue,
    workflowId: config.taskQueue,
    args: [{ group, from: '2024-01-02', to: '2024-03-31' }],
  })
  // The first worker holds each chunk for two seconds, so that the signal finds it inside of one.
  const first = startWorker(config, temporal.address, { ...faults, holdMs: 2_000 })
  while ((await chunks()).length < 1) await sleep(200)
  // The next chunk is under way now.
  await sleep(500)
  const done = (await chunks()).length
  const told = Date.now()
  first.child.kill('SIGTERM')
  expect(await first.ended).toBe('exit code 0')
  expect(Date.now() - told).toBeLessThan(30_000)
  const before = await chunks()
  expect(before.length).toBe(done + 1)

  const second = startWorker(config, temporal.address, { ...faults, holdMs: 1_000 })
  let after = before
  while (after.length === before.length) {
    await sleep(100)
    after = await chunks()
  }
  expect(after.slice(0, before.length)).toEqual(before)
  const result = (await handle.result()) as BackfillResult
  expect(result.outcome).toBe('published')
  second.child.kill('SIGTERM')
  expect(await second.ended).toBe('exit code 0')

  // Nothing was begun twice: the chunk under the signal was brought to its end, and reported.
  const attempts = await attemptsOf(handle)
  expect(attempts.every(({ attempt }) => attempt === 1)).toBe(true)
  expect(attempts.filter(({ step }) => step === 'computeChunk').length).toBeGreaterThan(before.length)
  const store = await openStore(config)
  expect(await orphanFiles(store, group)).toEqual([])
  await store.close()
})

test('SIGTERM while a chunk takes longer than the grace', { timeout: 120_000 }, async () => {
  const faults = { folder, bundle: await bundledWorkflows(folder), blows: [] }
  const handle = await temporal.client.workflow.start('backfill', {
    taskQueue: config.taskQueue,
    workflowId: `${config.taskQueue}-longer`,
    args: [{ group, from: '2024-01-02', to: '2024-03-01', rewrite: true }],
  })
  const first = startWorker(config, temporal.address, { ...faults, holdMs: 2_500, graceMs: 300 })
  while ((await chunks()).length < 1) await sleep(200)
  await sleep(500)
  const before = await chunks()
  first.child.kill('SIGTERM')
  expect(await first.ended).toBe('exit code 0')
  expect(await chunks()).toEqual(before)

  const second = startWorker(config, temporal.address, { ...faults, holdMs: 0 })
  expect(await handle.result()).toMatchObject({ outcome: 'published' })
  second.child.kill('SIGTERM')
  expect(await second.ended).toBe('exit code 0')
  // Only the chunk that was broken off was begun again, and at once.
  const computed = (await attemptsOf(handle)).filter(({ step }) => step === 'computeChunk')
  const again = computed.map(({ attempt }) => attempt > 1)
  expect(again).toEqual(computed.map((_, at) => at === before.length))
})
