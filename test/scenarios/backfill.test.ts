/** The backfill on real components: Temporal's server, DuckDB, Iceberg tables, LMDB. */
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import type { backfill, BackfillResult } from '../../workflows/backfill.ts'
import { queryNames, updateNames } from '../../workflows/names.ts'
import type { RunProgress } from '../../workflows/progress.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { writeOrders } from '../support/orders.ts'

const group = 'shop_orders_v1'
const days = [
  '2024-01-01',
  '2024-01-02',
  '2024-01-03',
  '2024-01-04',
  '2024-01-05',
  '2024-01-06',
  '2024-01-07',
]
const folder = temporaryFolder('backfill')
const features = fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url))
let temporal: TestWorkflowEnvironment
const running: RunningStore[] = []

beforeAll(async () => {
  temporal = await startTemporal()
})

afterAll(async () => {
  for (const store of running) await store.stop()
  await temporal?.teardown()
})

/** A store of its own with orders of its own, registered and ready. */
async function shopStore(name: string): Promise<RunningStore & { orders: string }> {
  const orders = join(folder, name, 'orders')
  await writeOrders(orders, days)
  const store = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, name, 'home'),
      ASOF_FEATURES: features,
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-08T00:30:00Z',
    },
    folder,
  )
  running.push(store)
  await applyRegistration(store.store, await planRegistration(store.store))
  return { ...store, orders }
}

let started = 0
function start(
  store: RunningStore,
  input: Record<string, unknown>,
): Promise<WorkflowHandle<typeof backfill>> {
  return store.client.workflow.start('backfill', {
    taskQueue: store.taskQueue,
    workflowId: `${store.taskQueue}-${(started += 1)}`,
    args: [input],
  }) as Promise<WorkflowHandle<typeof backfill>>
}

async function run(store: RunningStore, from: string, to: string, rewrite = false): Promise<BackfillResult> {
  return (await start(store, { group, from, to, rewrite })).result()
}

async function failureOf(store: RunningStore, input: Record<string, unknown>): Promise<string> {
  try {
    await (await start(store, input)).result()
  } catch (error) {
    if (error instanceof WorkflowFailedError) return error.cause?.message ?? error.message
    throw error
  }
  throw new Error('the workflow did not fail')
}

async function untilWaiting(handle: WorkflowHandle<typeof backfill>): Promise<RunProgress> {
  for (;;) {
    const progress = await handle.query<RunProgress>(queryNames.progress)
    if (progress.step === 'waiting') return progress
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const decide = (handle: WorkflowHandle<typeof backfill>, decision: GateDecision) =>
  handle.executeUpdate<string, [GateDecision]>(updateNames.resolveGate, { args: [decision] })

describe('doing the same thing twice leaves the same rows', () => {
  test('a backfill run twice, a rewrite of all of it, and of an interval between published ones', async () => {
    const store = await shopStore('twice')
    const first = await run(store, '2024-01-02', '2024-01-08')
    expect(first).toMatchObject({ outcome: 'published', intervals: 144, alreadyPublished: 0, group })
    const rows = await publishedRows(store.store, group)
    expect(rows.length).toBe(first.rows)
    expect(first.rows).toBeGreaterThan(1_000)

    expect(await run(store, '2024-01-02', '2024-01-08')).toMatchObject({
      outcome: 'nothing_to_do',
      alreadyPublished: 144,
    })
    expect(await publishedRows(store.store, group)).toEqual(rows)

    expect(await run(store, '2024-01-02', '2024-01-08', true)).toMatchObject({
      outcome: 'published',
      intervals: 144,
    })
    expect(await publishedRows(store.store, group)).toEqual(rows)

    const middle = await run(store, '2024-01-04T05:00:00Z', '2024-01-04T06:00:00Z', true)
    expect(middle).toMatchObject({ outcome: 'published', intervals: 1 })
    expect(middle.rows).toBeGreaterThan(0)
    expect(await publishedRows(store.store, group)).toEqual(rows)
    expect(await tableRefs(store.store, group)).toEqual(['main'])
    expect(await orphanFiles(store.store, group)).toEqual([])
  })

  test('many short ranges in any order end where one long range ends', async () => {
    const long = await shopStore('long')
    await run(long, '2024-01-02', '2024-01-05')
    const short = await shopStore('short')
    for (const [from, to] of [
      ['2024-01-03T12:00:00Z', '2024-01-04T00:00:00Z'],
      ['2024-01-02T00:00:00Z', '2024-01-02T07:00:00Z'],
      ['2024-01-04T00:00:00Z', '2024-01-05T00:00:00Z'],
      ['2024-01-02T00:00:00Z', '2024-01-05T00:00:00Z'],
    ] as const) {
      await run(short, from, to)
    }
    expect(await publishedRows(short.store, group)).toEqual(await publishedRows(long.store, group))
    expect((await short.store.registry.ledgerSummary(group)).intervals).toBe(72)
  })

  test('two runs at once on neighbouring and on overlapping ranges lose nothing', async () => {
    const alone = await shopStore('alone')
    await run(alone, '2024-01-02', '2024-01-06')
    const together = await shopStore('together')
    const results = await Promise.all([
      run(together, '2024-01-02', '2024-01-04'),
      run(together, '2024-01-04', '2024-01-06'),
      run(together, '2024-01-03', '2024-01-05'),
    ])
    expect(results.every(({ outcome }) => outcome !== 'aborted')).toBe(true)
    expect(await publishedRows(together.store, group)).toEqual(await publishedRows(alone.store, group))
    expect((await together.store.registry.ledgerSummary(group)).intervals).toBe(96)
    expect(await tableRefs(together.store, group)).toEqual(['main'])
    expect(await orphanFiles(together.store, group)).toEqual([])
  })
})

describe('a gate that blocks', () => {
  test('abort leaves everything as it was; override and retry publish', async () => {
    const store = await shopStore('blocked')
    await run(store, '2024-01-02', '2024-01-06')
    const rows = await publishedRows(store.store, group)
    const good = join(store.orders, 'orders-2024-01-04.parquet')
    copyFileSync(good, join(folder, 'good.parquet'))
    await writeOrders(store.orders, ['2024-01-04'], 1_000)

    const input = { group, from: '2024-01-04', to: '2024-01-05', rewrite: true }
    const aborted = await start(store, input)
    const progress = await untilWaiting(aborted)
    expect(progress.gates.find(({ name }) => name === 'in_range(mean_price_24h)')?.verdict).toBe('block')
    const [blockedRun] = await store.store.registry.runs({ group, limit: 1 })
    expect(blockedRun?.status).toBe('waiting')
    const reports = await store.store.registry.gateReports(blockedRun?.runId ?? '')
    const report = reports.find(({ verdict }) => verdict === 'block')
    expect(report?.violations.length).toBe(10)
    expect(report?.violationCount).toBeGreaterThan(10)
    expect(await publishedRows(store.store, group)).toEqual(rows)
    await expect(decide(aborted, { decision: 'override', name: '', reason: 'because' })).rejects.toThrow()
    await decide(aborted, { decision: 'abort' })
    expect(await aborted.result()).toMatchObject({ outcome: 'aborted' })
    await expect(decide(aborted, { decision: 'abort' })).rejects.toThrow()
    expect(await publishedRows(store.store, group)).toEqual(rows)
    expect(await tableRefs(store.store, group)).toEqual(['main'])
    expect(await orphanFiles(store.store, group)).toEqual([])

    const overridden = await start(store, input)
    await untilWaiting(overridden)
    await decide(overridden, { decision: 'override', name: 'Ada', reason: 'prices did rise' })
    expect(await overridden.result()).toMatchObject({ outcome: 'published' })
    expect(await publishedRows(store.store, group)).not.toEqual(rows)

    const retried = await start(store, input)
    await untilWaiting(retried)
    copyFileSync(join(folder, 'good.parquet'), good)
    await decide(retried, { decision: 'retry' })
    expect(await retried.result()).toMatchObject({ outcome: 'published' })
    expect(await publishedRows(store.store, group)).toEqual(rows)
    expect(await orphanFiles(store.store, group)).toEqual([])
  })

  test('a cancelled run leaves nothing behind', async () => {
    const store = await shopStore('cancelled')
    await writeOrders(store.orders, ['2024-01-04'], 1_000)
    const handle = await start(store, { group, from: '2024-01-04', to: '2024-01-05' })
    await untilWaiting(handle)
    await handle.cancel()
    await expect(handle.result()).rejects.toThrow()
    expect(await tableRefs(store.store, group)).toEqual([])
    expect(await orphanFiles(store.store, group)).toEqual([])
    expect((await store.store.registry.runs({ group }))[0]?.status).toBe('cancelled')
  })
})

describe('bad input ends at once, with a sentence and nothing half done', () => {
  let store: RunningStore & { orders: string }
  beforeAll(async () => {
    store = await shopStore('bad')
  })

  const range = { from: '2024-01-02', to: '2024-01-03' }
  test.each([
    ['no object', 'airport', /Expected one JSON object such as/],
    ['a missing field', { group, from: '2024-01-02' }, /"to" is missing/],
    ['an unknown field', { group, ...range, rewritten: true }, /"rewritten" is not a field/],
    ['a wrong type', { group, ...range, rewrite: 'yes' }, /"rewrite" is "yes", not a boolean/],
    ['an unknown group', { group: 'nobody_v1', ...range }, /no feature group "nobody_v1".*shop_orders_v1/],
    ['an endless name', { group: 'g'.repeat(3_000), ...range }, /"group" has 3000 characters, more than 500/],
    ['a reversed range', { group, from: '2024-01-03', to: '2024-01-02' }, /holds no interval/],
    ['an empty range', { group, from: '2024-01-03', to: '2024-01-03' }, /holds no interval/],
    ['no instant', { group, from: 'yesterday', to: '2024-01-03' }, /"yesterday" is not an instant/],
    [
      'an instant off the cadence',
      { group, from: '2024-01-02T00:30:00Z', to: '2024-01-03' },
      /not on the group's cadence of 1h/,
    ],
    ['a range not due', { group, from: '2024-01-07', to: '2024-01-08T01:00:00Z' }, /not due/],
    ['windows before the source is complete', { group, from: '2024-01-01', to: '2024-01-03' }, /complete/],
  ])('%s', async (_name, input, sentence) => {
    const before = await store.store.registry.runs({ group })
    expect(await failureOf(store, input as Record<string, unknown>)).toMatch(sentence)
    expect(await store.store.registry.runs({ group })).toEqual(before)
    expect(await tableRefs(store.store, group)).toEqual([])
  })

  test('a torn file, then a missing source', async () => {
    const torn = join(store.orders, 'orders-2024-01-02.parquet')
    writeFileSync(torn, 'PAR1 and then nothing')
    expect(await failureOf(store, { group, ...range })).toMatch(/orders-2024-01-02\.parquet/)
    rmSync(store.orders, { recursive: true })
    expect(await failureOf(store, { group, ...range })).toMatch(/orders/)
    expect(await tableRefs(store.store, group)).toEqual([])
    expect(await orphanFiles(store.store, group)).toEqual([])
    expect((await store.store.registry.runs({ group })).every(({ status }) => status === 'failed')).toBe(true)
  })
})
