/**
 * A week replayed on the store's clock, from a source that does not say when its events arrived: a refresh for every
 * interval, events up to ten hours late, one interval that a gate holds until the afternoon, an outage of a day, a rewrite
 * in the middle. `ASOF_TEST_WEEK=1h` replays it by the hour.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { planScan, readDataFiles } from '../../iceberg/index.ts'
import { durationMs, intervalEnds, type IntervalRange } from '../../model/index.ts'
import { openDuckDb, query, type DuckDb } from '../../offline/index.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import { updateNames } from '../../workflows/names.ts'
import type { RunResult } from '../../workflows/run.ts'
import { letArrive, makeLateOrders, type LateOrders } from '../support/lateOrders.ts'
import { orphanFiles, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const every = process.env['ASOF_TEST_WEEK'] === '1h' ? '1h' : '4h'
const group = `week_${every}_v1`
const [stepMs, latenessMs, dayMs] = [durationMs(every), durationMs('10h'), 864e5]
const at = (text: string) => Date.parse(text)
const [historyFrom, liveAt, weekEnd] = [at('2024-01-02'), at('2024-01-03'), at('2024-01-10')] as const
const held = at('2024-01-05T08:00Z')
const outage = { from: at('2024-01-07T04:00Z'), to: at('2024-01-08T04:00Z') }
const rewrite = { at: at('2024-01-09T00:00Z'), from: '2024-01-03T12:00:00Z', to: '2024-01-05T00:00:00Z' }
const seed = Number(process.env['ASOF_TEST_SEED'] ?? 20_240_103)
const folder = temporaryFolder('week')
const features = fileURLToPath(new URL('../fixtures/week.ts', import.meta.url))

let temporal: TestWorkflowEnvironment
let store: RunningStore
let duckdb: DuckDb
let orders: LateOrders
let arrivedUpTo = 0
const refreshes: { at: number; knownAt: number; result: RunResult; held: IntervalRange[] }[] = []

beforeAll(async () => {
  temporal = await startTemporal()
  duckdb = await openDuckDb({ memoryLimit: '500MB', threads: 1, tempDirectory: join(folder, 'spill') })
  orders = await makeLateOrders({
    ...{ duckdb, folder, from: '2024-01-01', days: 9, latenessMs, seed, dearAt: '2024-01-05T07:30:00' },
  })
  await letArriveUpTo(liveAt + durationMs('5m'))
  store = await openWeek('lived', liveAt + durationMs('5m'))
  console.log(`week: by ${every}, seed ${seed}`)
})

afterAll(async () => {
  await store?.stop()
  await duckdb?.close()
  await temporal?.teardown()
})

async function letArriveUpTo(ms: number): Promise<void> {
  await letArrive(orders, arrivedUpTo, ms)
  arrivedUpTo = ms
}

async function openWeek(name: string, clock: number): Promise<RunningStore> {
  const opened = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, name, 'home'),
      ASOF_FEATURES: features,
      ORDERS_PATH: orders.source,
      ASOF_CLOCK: new Date(clock).toISOString(),
    },
    folder,
  )
  await applyRegistration(opened.store, await planRegistration(opened.store))
  return opened
}

let started = 0
async function run<Result>(of: RunningStore, type: string, input: object): Promise<Result> {
  const workflowId = `${of.taskQueue}-${(started += 1)}`
  const handle = await of.client.workflow.start(type, { taskQueue: of.taskQueue, workflowId, args: [input] })
  return (await handle.result()) as Result
}

async function refreshAt(ms: number): Promise<RunResult> {
  await letArriveUpTo(ms)
  await moveStoreClock(store.store.registry, { to: ms })
  const result = await run<RunResult>(store, 'refresh', { group })
  const knownAt = await store.store.now()
  refreshes.push({ at: ms, knownAt, result, held: await store.store.registry.heldIntervals(group, '') })
  return result
}

/** The run that waits is let through by its own workflow, which its refresh left behind. */
async function letThrough(): Promise<RunResult> {
  const [waiting] = (await store.store.registry.runs({ group })).filter(({ status }) => status === 'waiting')
  const parked = store.client.workflow.getHandle(waiting?.workflowId ?? '')
  const decision = { decision: 'override', name: 'Ada', reason: 'the order is real' }
  await parked.executeUpdate(updateNames.resolveGate, { args: [decision] })
  return (await parked.result()) as RunResult
}

test('the week', { timeout: 1_800_000 }, async () => {
  expect(
    await run<BackfillResult>(store, 'backfill', { group, from: '2024-01-02', to: '2024-01-02T20:00:00Z' }),
  ).toMatchObject({ outcome: 'published', live: null, intervals: (20 * 36e5) / stepMs })

  for (const end of intervalEnds({ from: liveAt - stepMs, to: weekEnd + 12 * 36e5 }, stepMs)) {
    if (end > outage.from && end < outage.to) continue
    const result = await refreshAt(end + durationMs('12m'))
    const isHeld = end === held
    const missed = end === outage.to ? Math.round((outage.to - outage.from) / stepMs) : 1
    expect(result.outcome, new Date(end).toISOString()).toBe(isHeld ? 'parked' : 'published')
    expect(result.intervals).toBe(end === liveAt ? 1 : missed)
    if (end === held + 8 * 36e5) {
      // Until then the others went on without it.
      expect(await ledgerEnds()).not.toContain(held)
      expect(await letThrough()).toMatchObject({ outcome: 'published', intervals: 1 })
    }
    if (end === rewrite.at) {
      const { from, to } = rewrite
      await moveStoreClock(store.store.registry, { forwardMs: 60_000 })
      const rewritten = await run<BackfillResult>(store, 'backfill', { group, from, to, rewrite: true })
      expect(rewritten).toMatchObject({ outcome: 'published', live: null })
    }
  }
  expect(refreshes.every(({ result }) => result.vanished === 0)).toBe(true)
  expect(await tableRefs(store.store, group)).toEqual(['main'])
  expect(await orphanFiles(store.store, group)).toEqual([])
})

async function ledgerEnds(): Promise<number[]> {
  const published = await store.store.registry.published(group, { from: 0, to: weekEnd + 2 * dayMs })
  return published.map(({ end }) => end)
}

test('the ledger has every interval once', async () => {
  // From 20:00 to the first live interval nobody computed.
  const expected = [
    ...intervalEnds({ from: historyFrom, to: at('2024-01-02T20:00Z') }, stepMs),
    ...intervalEnds({ from: liveAt - stepMs, to: weekEnd + 12 * 36e5 }, stepMs),
  ]
  expect(await ledgerEnds()).toEqual(expected)
  const state = await store.store.registry.ledgerState(group)
  expect(state?.liveFrom).toBe(liveAt)
})

test('the newest version of every row equals one backfill of the week', async () => {
  const other = await openWeek('at-once', weekEnd + dayMs)
  try {
    const input = { group, from: '2024-01-02', to: new Date(weekEnd).toISOString().replace('.000', '') }
    const handle = await other.client.workflow.start('backfill', {
      ...{ taskQueue: other.taskQueue, workflowId: `${other.taskQueue}-once`, args: [input] },
    })
    const decision = { decision: 'override', name: 'Ada', reason: 'the order is real' }
    for (;;) {
      const decided = await handle.executeUpdate(updateNames.resolveGate, { args: [decision] }).then(
        () => true,
        () => false,
      )
      if (decided) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(await handle.result()).toMatchObject({ outcome: 'published' })
    const gap = `event_timestamp > TIMESTAMPTZ '2024-01-02 20:00:00Z' AND event_timestamp < TIMESTAMPTZ '2024-01-03 00:00:00Z'`
    const inWeek = `event_timestamp <= make_timestamptz(${weekEnd * 1000}) AND NOT (${gap})`
    const [lived, once] = await Promise.all([newest(store, inWeek), newest(other, inWeek)])
    expect(lived.length).toBeGreaterThan(250)
    expect(lived).toEqual(once)
  } finally {
    await other.stop()
  }
})

async function rowsOf({ store: { catalog, store: namespace, fileIO } }: RunningStore): Promise<string> {
  const table = await catalog.loadTable({ namespace, name: group })
  const { files, schema } = await planScan(table)
  return readDataFiles({ schema, files, localPath: (location) => fileIO.localPath(location) })
}

const newestOf = (rows: string) =>
  `(SELECT * FROM ${rows} QUALIFY row_number() OVER (PARTITION BY shop, event_timestamp ORDER BY created_timestamp DESC) = 1)`

async function newest(of: RunningStore, where: string): Promise<string[]> {
  const connection = await of.store.duckdb.connect()
  try {
    const rows = await connection.runAndReadAll(
      `SELECT * EXCLUDE (run_id, created_timestamp) FROM ${newestOf(await rowsOf(of))} WHERE ${where} ORDER BY ALL`,
    )
    return rows.getRowsJson().map((row) => JSON.stringify(row))
  } finally {
    connection.closeSync()
  }
}

test('the versions tell what was known when', async () => {
  const connection = await store.store.duckdb.connect()
  try {
    const versions = await rowsOf(store)
    await query(connection, `CREATE TEMP TABLE versions AS SELECT * FROM ${versions}`)
    const [counts] = await query(
      connection,
      `SELECT count(*) AS versions, count(DISTINCT (shop, event_timestamp)) AS rows FROM versions`,
    )
    expect(Number(counts?.['versions'])).toBeGreaterThan(Number(counts?.['rows']) + 50)
    const [from, to] = [at(rewrite.from), at(rewrite.to)]
    const rewritten = rewrite.at + durationMs('30m')
    let compared = 0
    for (const { at: moment, knownAt, held: waiting } of refreshes) {
      // Rewritten history is as the rewrite saw it, and tells no more what was known before; what waits tells nothing yet.
      const untold = [...(moment > rewritten ? [] : [{ from, to }]), ...waiting]
      const isTold = untold
        .map(
          (range) =>
            `NOT (event_timestamp > make_timestamptz(${range.from * 1000}) AND event_timestamp <= make_timestamptz(${range.to * 1000}))`,
        )
        .concat('true')
        .join(' AND ')
      const isLive = `event_timestamp >= make_timestamptz(${liveAt * 1000})`
      const known = newestOf(
        `(SELECT * FROM versions WHERE ${isLive} AND ${isTold} AND created_timestamp <= make_timestamptz(${knownAt * 1000}))`,
      )
      const seen = (hours: number) =>
        `epoch_us(o."at") >= epoch_us(k.event_timestamp) - ${hours * 3_600_000_000} AND epoch_us(o."at") < epoch_us(k.event_timestamp)`
      const wrong = await query(
        connection,
        `SELECT k.shop, k.event_timestamp FROM ${known} AS k
         LEFT JOIN (SELECT * FROM read_parquet('${orders.all}') WHERE epoch_us(arrives) <= ${moment * 1000}) AS o ON o.shop = k.shop
         GROUP BY ALL HAVING any_value(k.orders_24h) <> count(*) FILTER (WHERE ${seen(24)})
           OR any_value(k.revenue_24h) IS DISTINCT FROM sum(o.price) FILTER (WHERE ${seen(24)})
           OR any_value(k.mean_price_12h) IS DISTINCT FROM avg(o.price) FILTER (WHERE ${seen(12)})`,
      )
      expect(wrong, `known at ${new Date(moment).toISOString()}`).toEqual([])
      const [count] = await query(connection, `SELECT count(*) AS rows FROM ${known}`)
      compared += Number(count?.['rows'])
    }
    expect(compared).toBeGreaterThan(4_000)
    console.log(`week: ${compared} rows as they were known at ${refreshes.length} refreshes`)
  } finally {
    connection.closeSync()
  }
})
