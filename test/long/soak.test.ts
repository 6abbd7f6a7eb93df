/**
 * Refreshes, backfills and rewrites of one group at once, for as many rounds as `ASOF_TEST_ROUNDS` says, on two workers
 * and a clock that moves on, while events come late: nothing is lost, nothing is there twice, and the newest versions are
 * those of one backfill.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { planScan, readDataFiles } from '../../iceberg/index.ts'
import { durationMs, formatInstant } from '../../model/index.ts'
import { openDuckDb, type DuckDb } from '../../offline/index.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import type { RunResult } from '../../workflows/run.ts'
import { randomFrom } from '../offline/random.ts'
import { letArrive, makeLateOrders, type LateOrders } from '../support/lateOrders.ts'
import { orphanFiles, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'week_1h_v1'
const rounds = Number(process.env['ASOF_TEST_ROUNDS'] ?? 30)
const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 1e6)
const hour = durationMs('1h')
const historyFrom = Date.parse('2024-01-02')
const begin = Date.parse('2024-01-03')
const folder = temporaryFolder('soak')
let temporal: TestWorkflowEnvironment
let duckdb: DuckDb
let orders: LateOrders
const running: RunningStore[] = []
let arrivedUpTo = 0

async function letArriveUpTo(ms: number): Promise<void> {
  await letArrive(orders, arrivedUpTo, ms)
  arrivedUpTo = ms
}

async function openStoreOn(home: string, clockMs: number): Promise<RunningStore> {
  const environment = {
    ASOF_HOME: join(folder, home),
    ASOF_FEATURES: fileURLToPath(new URL('../fixtures/week.ts', import.meta.url)),
    ORDERS_PATH: orders.source,
    ASOF_CLOCK: new Date(clockMs).toISOString(),
  }
  const opened = await runStore(temporal, environment, folder)
  running.push(opened)
  await applyRegistration(opened.store, await planRegistration(opened.store))
  return opened
}

beforeAll(async () => {
  console.log(`soak.test.ts: ASOF_TEST_SEED=${seed}, ${rounds} rounds`)
  temporal = await startTemporal()
  duckdb = await openDuckDb({ memoryLimit: '500MB', threads: 1, tempDirectory: join(folder, 'spill') })
  orders = await makeLateOrders({
    ...{ duckdb, folder, from: '2024-01-01', days: 3 + Math.ceil(rounds / 24), seed },
    ...{ latenessMs: durationMs('10h'), dearAt: '2030-01-01' },
  })
  await letArriveUpTo(begin)
})

afterAll(async () => {
  for (const store of running) await store.stop()
  await duckdb?.close()
  await temporal?.teardown()
})

let started = 0
async function run<Result>(
  { client, taskQueue }: RunningStore,
  type: string,
  input: object,
): Promise<Result> {
  const workflowId = `${taskQueue}-${(started += 1)}`
  const handle = await client.workflow.start(type, { taskQueue, workflowId, args: [input] })
  return (await handle.result()) as Result
}

async function newest({ store }: RunningStore, upTo: number): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const { files, schema } = await planScan(table)
  const rows = readDataFiles({ schema, files, localPath: (location) => store.fileIO.localPath(location) })
  const connection = await store.duckdb.connect()
  try {
    const found = await connection.runAndReadAll(
      `SELECT * EXCLUDE (run_id, created_timestamp) FROM
         (SELECT * FROM ${rows} QUALIFY row_number() OVER (PARTITION BY shop, event_timestamp ORDER BY created_timestamp DESC) = 1)
       WHERE event_timestamp <= make_timestamptz(${upTo * 1000}) ORDER BY ALL`,
    )
    return found.getRowsJson().map((row) => JSON.stringify(row))
  } finally {
    connection.closeSync()
  }
}

test('whatever runs at once, the end is that of one backfill', async () => {
  const random = randomFrom(seed)
  const store = await openStoreOn('soak', begin)
  const counts: Record<string, number> = {}
  let now = begin
  await run(store, 'refresh', { group }).catch(() => undefined)
  for (let round = 1; round <= rounds; round++) {
    now += hour * (1 + random.below(2))
    await letArriveUpTo(now)
    await moveStoreClock(store.store.registry, { to: now + durationMs('12m') })
    const lastDue = Math.floor(now / hour) * hour
    const ranges = Array.from({ length: random.below(3) }, () => {
      const from = historyFrom + hour * random.below((lastDue - historyFrom) / hour)
      const to = Math.min(lastDue, from + hour * (1 + random.below(30)))
      return { group, from: formatInstant(from), to: formatInstant(to), rewrite: random.below(2) === 0 }
    })
    const results = await Promise.all([
      run<RunResult>(store, 'refresh', { group }),
      ...ranges.map((input) => run<BackfillResult>(store, 'backfill', input)),
    ])
    for (const { outcome } of results) counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  const end = Math.floor(now / hour) * hour
  await letArriveUpTo(end + durationMs('12h'))
  await moveStoreClock(store.store.registry, { to: end + durationMs('12h') })
  await run(store, 'refresh', { group })
  await run(store, 'backfill', { group, from: formatInstant(historyFrom), to: formatInstant(end) })

  const once = await openStoreOn('once', end + durationMs('12h'))
  await run(once, 'backfill', { group, from: formatInstant(historyFrom), to: formatInstant(end) })
  const rows = await newest(store, end)
  expect(rows.length).toBeGreaterThan((6 * (end - historyFrom)) / hour)
  expect(rows).toEqual(await newest(once, end))
  const published = await store.store.registry.published(group, { from: historyFrom, to: end })
  expect(published).toHaveLength((end - historyFrom) / hour)
  expect(await tableRefs(store.store, group)).toEqual(['main'])
  expect(await orphanFiles(store.store, group)).toEqual([])
  console.log(`soak.test.ts: ${JSON.stringify(counts)}, ${rows.length} rows as of one backfill`)
})
