/** The janitor on real components: lost runs, leftovers, open runs beside it, a second janitor. */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import type { RunProgress } from '../../workflows/progress.ts'
import type { JanitorResult } from '../../workflows/janitor.ts'
import { queryNames } from '../../workflows/names.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { writeOrders } from '../support/orders.ts'

const group = 'shop_orders_v1'
const folder = temporaryFolder('janitor')
const orders = join(folder, 'orders')
let temporal: TestWorkflowEnvironment
let running: RunningStore

beforeAll(async () => {
  temporal = await startTemporal()
  const days = ['2024-01-01', '2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05']
  await writeOrders(orders, days)
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-06T00:30:00Z',
    },
    folder,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
})

afterAll(async () => {
  await running?.stop()
  await temporal?.teardown()
})

const start = (type: string, input: object): Promise<WorkflowHandle> =>
  running.client.workflow.start(type, {
    taskQueue: running.taskQueue,
    workflowId: `${type}-${randomUUID()}`,
    args: [input],
  })
const sweep = async (input: object = { olderThan: '0s' }) =>
  (await (await start('janitor', input)).result()) as JanitorResult

async function untilWaiting(handle: WorkflowHandle): Promise<RunProgress> {
  for (;;) {
    const progress = await handle.query<RunProgress>(queryNames.progress)
    if (progress.step === 'waiting') return progress
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

test('a terminated run is taken back; an open one, beside it and beside a second janitor, goes on', async () => {
  const { store } = running
  await (await start('backfill', { group, from: '2024-01-02', to: '2024-01-04' })).result()
  const rows = await publishedRows(store, group)
  await writeOrders(orders, ['2024-01-04'], 1_000)
  const input = { group, from: '2024-01-04', to: '2024-01-05' }
  const lost = await start('backfill', input)
  const open = await start('backfill', input)
  const { runId: lostRun } = await untilWaiting(lost)
  const { runId: openRun } = await untilWaiting(open)
  await lost.terminate('nobody cleans up after a terminate')

  const [first, second] = await Promise.all([sweep(), sweep({ group, olderThan: '0s' })])
  expect(first.runs + second.runs).toBeGreaterThanOrEqual(1)
  expect(first.snapshots + second.snapshots).toBe(1)
  expect(await tableRefs(store, group)).toEqual(['main', `run-${openRun}`])
  expect((await store.registry.run(lostRun))?.status).toBe('failed')
  expect((await store.registry.run(lostRun))?.reason).toMatch(/not open in Temporal any more/)
  expect((await store.registry.run(openRun))?.status).toBe('waiting')
  expect((await orphanFiles(store, group)).filter((file) => !file.includes(openRun))).toEqual([])
  expect(await publishedRows(store, group)).toEqual(rows)
  expect(await sweep()).toMatchObject({ runs: 0, branches: 0, snapshots: 0, files: 0 })

  // What the janitor let stand is whole: the open run still publishes.
  await open.executeUpdate('resolveGate', {
    args: [{ decision: 'override', name: 'Ada', reason: 'prices did rise' }],
  })
  expect(await open.result()).toMatchObject({ outcome: 'published' })
  const published = await publishedRows(store, group)
  expect(published.length).toBeGreaterThan(rows.length)
  await sweep()
  expect(await publishedRows(store, group)).toEqual(published)
  expect(await orphanFiles(store, group)).toEqual([])
})

test('a run that was terminated after its publish is closed as published, with its ledger', async () => {
  const { store } = running
  const runId = randomUUID()
  await (await start('backfill', { group, from: '2024-01-02', to: '2024-01-03', rewrite: true })).result()
  const [newest] = await store.registry.runs({ group, limit: 1 })
  // As a worker leaves it that dies between the commit and everything after it.
  await store.registry.updateRun(newest?.runId ?? '', { status: 'running', endedAt: null, snapshotId: null })
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const debris = [
    join('data', newest?.runId ?? '', 'p', 'attempt', 'half.parquet'),
    join('runs', newest?.runId ?? '', 'p', 'plan.json'),
    join('data', runId, 'p', 'unknown.parquet'),
    join('data', `${runId}.live`, 'p', 'unknown.parquet'),
    join('ledger', `${runId}-abcdef01.json`),
    join('ledger', `${runId}-abcdef01.json.x.tmp`),
  ]
  const rows = await publishedRows(store, group)
  for (const path of debris) write(table.location, path)
  // What another engine is about to commit is none of the janitor's business.
  write(table.location, 'data/event_timestamp_day=2024-01-02/theirs.parquet')

  // The debris of the run itself goes at once, what nobody knows once it is old.
  expect(await sweep({})).toMatchObject({ runs: 1, branches: 0, snapshots: 0, files: 0 })
  expect(await store.registry.run(newest?.runId ?? '')).toMatchObject({
    status: 'published',
    snapshotId: newest?.snapshotId,
  })
  expect((await orphanFiles(store, group)).length).toBe(5)
  expect(await sweep()).toMatchObject({ runs: 0, files: 4 })
  expect((await orphanFiles(store, group)).map((path) => path.replace(/^.*\//, ''))).toEqual([
    'theirs.parquet',
  ])
  expect(await publishedRows(store, group)).toEqual(rows)
})

test('bad input ends at once, with a sentence', async () => {
  for (const [input, sentence] of [
    [{ olderThan: 'yesterday' }, /olderThan: "yesterday" is not a duration/],
    [{ group: 'nobody_v1' }, /no registered feature group "nobody_v1".*shop_orders_v1/],
    [{ groups: 'x' }, /"groups" is not a field/],
  ] as const) {
    const failed = sweep(input).then(
      () => 'no error',
      (error: unknown) => String((error as Error).cause),
    )
    expect(await failed).toMatch(sentence)
  }
})

function write(location: string, path: string): void {
  const file = join(location.replace('file://', ''), path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, 'left behind')
  const old = new Date(Date.now() - 3_600_000)
  utimesSync(file, old, old)
  expect(readdirSync(join(file, '..')).length).toBeGreaterThan(0)
}
