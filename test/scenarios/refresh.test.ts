/** Refreshes on real components: when a group goes live, what is read again, what is reported, what a gate parks. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { openSqlite, planScan, readDataFiles } from '../../iceberg/index.ts'
import { durationMs } from '../../model/index.ts'
import { openDuckDb, query, type DuckDb, type Row } from '../../offline/index.ts'
import type { RegistryTables } from '../../registry/index.ts'
import { databasePath } from '../../worker/paths.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import { updateNames } from '../../workflows/names.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import type { RunResult } from '../../workflows/run.ts'
import { letArrive, makeLateOrders, type LateOrders } from '../support/lateOrders.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('refresh')
const features = fileURLToPath(new URL('../fixtures/week.ts', import.meta.url))
const at = (text: string) => Date.parse(text)
const hour = durationMs('1h')
let temporal: TestWorkflowEnvironment
let duckdb: DuckDb
const running: RunningStore[] = []

beforeAll(async () => {
  temporal = await startTemporal()
  duckdb = await openDuckDb({ memoryLimit: '500MB', threads: 1, tempDirectory: join(folder, 'spill') })
})

afterAll(async () => {
  for (const store of running) await store.stop()
  await duckdb?.close()
  await temporal?.teardown()
})

interface Shop extends RunningStore {
  readonly orders: LateOrders
}

async function openShop(name: string, clock: string, arrivedUpTo: number): Promise<Shop> {
  const orders = await makeLateOrders({
    ...{ duckdb, folder: join(folder, name), from: '2024-01-01', days: 4 },
    ...{ latenessMs: durationMs('10h'), seed: 7, dearAt: '2024-01-03T18:30:00' },
  })
  await letArrive(orders, 0, arrivedUpTo)
  const store = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, name, 'home'),
      ASOF_FEATURES: features,
      ORDERS_PATH: orders.source,
      ASOF_CLOCK: clock,
    },
    folder,
  )
  running.push(store)
  await applyRegistration(store.store, await planRegistration(store.store))
  return { ...store, orders }
}

let started = 0
async function run<Result = RunResult>(of: RunningStore, type: string, input: object): Promise<Result> {
  const workflowId = `${of.taskQueue}-${(started += 1)}`
  const handle = await of.client.workflow.start(type, { taskQueue: of.taskQueue, workflowId, args: [input] })
  return (await handle.result()) as Result
}

const moveTo = (of: RunningStore, text: string) => moveStoreClock(of.store.registry, { to: at(text) })

/** SQL over all versions of a group's published rows, as `rows`. */
async function rowsOf({ store }: RunningStore, group: string, sql: string): Promise<Row[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const { files, schema } = await planScan(table)
  const rows = readDataFiles({ schema, files, localPath: (location) => store.fileIO.localPath(location) })
  const connection = await store.duckdb.connect()
  try {
    return await query(connection, `WITH rows AS (SELECT * FROM ${rows}) ${sql}`)
  } finally {
    connection.closeSync()
  }
}

test('the first refresh makes a group live; what was missed since is no history', async () => {
  const group = 'week_1h_v1'
  const shop = await openShop('live', '2024-01-03T00:15:00Z', at('2024-01-04'))
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'published', intervals: 1 })
  await moveTo(shop, '2024-01-03T06:15:00Z')
  const both = await run<BackfillResult>(shop, 'backfill', {
    ...{ group, from: '2024-01-02T20:00:00Z', to: '2024-01-03T06:00:00Z' },
  })
  expect(both).toMatchObject({
    ...{ outcome: 'published', intervals: 3, alreadyPublished: 1 },
    live: { outcome: 'published', intervals: 6 },
  })
  const created = await rowsOf(
    shop,
    group,
    `SELECT run_id AS run, count(DISTINCT event_timestamp) AS ends, count(DISTINCT created_timestamp) AS moments,
       bool_and(created_timestamp = event_timestamp + INTERVAL 10 MINUTE) AS as_due,
       bool_and(created_timestamp > TIMESTAMPTZ '2024-01-03 06:15:00Z') AS now
     FROM rows GROUP BY run_id ORDER BY min(event_timestamp)`,
  )
  expect(created).toMatchObject([
    { run: both.runId, ends: 3n, moments: 3n, as_due: true },
    { ends: 1n, moments: 1n, as_due: false, now: false },
    { run: both.live?.runId, ends: 6n, moments: 1n, as_due: false, now: true },
  ])
  const rows = await publishedRows(shop.store, group)
  // All events are there, so nothing has changed: nothing is published, and what is settled is not read any more.
  await moveTo(shop, '2024-01-03T06:30:00Z')
  expect(await run(shop, 'refresh', { group })).toMatchObject({
    outcome: 'nothing_to_do',
    reread: 10,
    rows: 0,
  })
  await moveTo(shop, '2024-01-03T16:05:00Z')
  expect(await run(shop, 'refresh', { group })).toMatchObject({
    outcome: 'published',
    intervals: 9,
    reread: 10,
  })
  await moveTo(shop, '2024-01-03T17:05:00Z')
  expect(await run(shop, 'refresh', { group })).toMatchObject({ intervals: 1, reread: 9 })
  expect((await publishedRows(shop.store, group)).filter((row) => rows.includes(row))).toEqual(rows)
  expect(await orphanFiles(shop.store, group)).toEqual([])
})

test('a registry that lost its ledger finds it again beside the table', async () => {
  const group = 'week_1h_v1'
  const shop = await openShop('lost', '2024-01-03T00:15:00Z', at('2024-01-04'))
  await run(shop, 'backfill', { group, from: '2024-01-02T20:00:00Z', to: '2024-01-02T23:00:00Z' })
  for (const now of ['2024-01-03T01:15:00Z', '2024-01-03T03:15:00Z']) {
    await moveTo(shop, now)
    await run(shop, 'refresh', { group })
  }
  const { registry } = shop.store
  const everything = { from: 0, to: at('2024-01-04') }
  const [published, state] = [await registry.published(group, everything), await registry.ledgerState(group)]
  const db = await openSqlite<RegistryTables>(databasePath(shop.config))
  for (const table of ['asof_intervals', 'asof_ledgers', 'asof_feature_sets'] as const) {
    await db.deleteFrom(table).execute()
  }
  await db.destroy()
  expect(await registry.published(group, everything)).toEqual([])
  const before = (await shop.store.catalog.loadTable({ namespace: 'asof', name: group })).metadataLocation
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'nothing_to_do', intervals: 0 })
  expect(await registry.published(group, everything)).toEqual(published)
  expect((await registry.ledgerState(group))?.liveFrom).toBe(state?.liveFrom)
  expect(published).toHaveLength(6)
  expect(await registry.nextCreated(group, 0)).toBeGreaterThan(at('2024-01-03T03:15:00Z'))
  const after = await shop.store.catalog.loadTable({ namespace: 'asof', name: group })
  expect(after.metadataLocation).toBe(before)
})

test('rows that are gone are reported and stay', async () => {
  const group = 'week_1h_v1'
  const shop = await openShop('gone', '2024-01-03T00:15:00Z', at('2024-01-04'))
  await run(shop, 'backfill', { group, from: '2024-01-02T20:00:00Z', to: '2024-01-02T23:00:00Z' })
  await run(shop, 'refresh', { group })
  const rows = await publishedRows(shop.store, group)
  const connection = await duckdb.connect()
  const file = join(shop.orders.source, `until-${at('2024-01-04')}.parquet`)
  await query(connection, `CREATE TEMP TABLE kept AS SELECT * FROM read_parquet('${file}') WHERE shop <> 4`)
  await query(connection, `COPY kept TO '${file}' (FORMAT parquet)`)
  connection.closeSync()
  const result = await run(shop, 'refresh', { group })
  expect(result).toMatchObject({ outcome: 'nothing_to_do', rows: 0, reread: 4, vanished: 4 })
  expect(await publishedRows(shop.store, group)).toEqual(rows)
  expect((await shop.store.registry.run(result.runId))?.reason).toMatch(
    /4 published rows.*asof backfill week_1h_v1 --from 2024-01-02T20:00:00Z --to 2024-01-03T00:00:00Z --rewrite/,
  )
})

test('a blocked refresh parks: abort gives its interval back, retry computes it again, others go on', async () => {
  const group = 'week_1h_v1'
  const shop = await openShop('parked', '2024-01-03T17:15:00Z', at('2024-01-04'))
  await run(shop, 'refresh', { group })
  const decide = async (decision: GateDecision): Promise<RunResult> => {
    const waiting = (await shop.store.registry.runs({ group })).find(({ status }) => status === 'waiting')
    const parked = shop.client.workflow.getHandle(waiting?.workflowId ?? '')
    await parked.executeUpdate(updateNames.resolveGate, { args: [decision] })
    return (await parked.result()) as RunResult
  }
  await moveTo(shop, '2024-01-03T19:15:00Z')
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'parked', intervals: 2 })
  // Nothing else is due, and what is held is nobody else's.
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'nothing_to_do', intervals: 0 })
  expect(await decide({ decision: 'abort' })).toMatchObject({ outcome: 'aborted' })
  expect(await tableRefs(shop.store, group)).toEqual(['main'])

  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'parked', intervals: 2 })
  await moveTo(shop, '2024-01-03T20:15:00Z')
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'published', intervals: 1 })
  const connection = await duckdb.connect()
  const file = join(shop.orders.source, `until-${at('2024-01-04')}.parquet`)
  await query(
    connection,
    `CREATE TEMP TABLE kept AS SELECT * FROM read_parquet('${file}') WHERE price < 1000`,
  )
  await query(connection, `COPY kept TO '${file}' (FORMAT parquet)`)
  connection.closeSync()
  expect(await decide({ decision: 'retry' })).toMatchObject({ outcome: 'published', intervals: 2 })
  const published = await shop.store.registry.published(group, { from: 0, to: at('2024-01-04') })
  expect(published.map(({ end }) => (end - at('2024-01-03')) / hour)).toEqual([17, 18, 19, 20])
  expect(await tableRefs(shop.store, group)).toEqual(['main'])
  expect(await orphanFiles(shop.store, group)).toEqual([])
  // The dear order was in the windows of the interval after it too: that was computed before the repair.
  expect(await run(shop, 'refresh', { group })).toMatchObject({ outcome: 'published', intervals: 0, rows: 1 })
})

test('every way of computing sees what had arrived, and corrects itself', async () => {
  const shop = await openShop('ways', '2024-01-03T06:10:05Z', at('2024-01-04'))
  const groups = ['by_arrival_v1', 'week_mapped_v1', 'week_queried_v1']
  const known: string[] = []
  for (const now of ['2024-01-03T06:11:00Z', '2024-01-03T07:11:00Z', '2024-01-03T12:11:00Z']) {
    await moveTo(shop, now)
    for (const group of groups) expect((await run(shop, 'refresh', { group })).outcome).toBe('published')
    known.push(now)
  }
  for (const group of groups) {
    const wrong = await rowsOf(
      shop,
      group,
      `SELECT k.shop, k.event_timestamp, k.created_timestamp, any_value(k.orders_6h) AS found, count(*) AS expected
       FROM rows AS k JOIN read_parquet('${shop.orders.all}') AS o ON o.shop = k.shop
         AND epoch_us(o."at") < epoch_us(k.event_timestamp) AND epoch_us(o."at") >= epoch_us(k.event_timestamp) - 21600000000
         AND epoch_us(o.arrives) <= epoch_us(k.created_timestamp)
       GROUP BY ALL HAVING found <> expected`,
    )
    expect(wrong, group).toEqual([])
    const [versions] = await rowsOf(
      shop,
      group,
      `SELECT count(*) AS all, count(DISTINCT (shop, event_timestamp)) AS rows, count(DISTINCT created_timestamp) AS moments FROM rows`,
    )
    expect(Number(versions?.['all']), group).toBeGreaterThan(Number(versions?.['rows']))
    expect(Number(versions?.['rows'])).toBe(7 * 7)
    expect(Number(versions?.['moments'])).toBe(known.length)
  }
})

test('rows that say when they were served come as they are, each once', async () => {
  const group = 'week_served_v1'
  const shop = await openShop('served', '2024-01-03T06:11:00Z', at('2024-01-04'))
  await run(shop, 'refresh', { group })
  await moveTo(shop, '2024-01-03T16:11:00Z')
  await run(shop, 'refresh', { group })
  const different = await rowsOf(
    shop,
    group,
    `SELECT * FROM (SELECT shop, epoch_us(event_timestamp) AS ordered, epoch_us(created_timestamp) AS arrives, price FROM rows) AS found
     FULL JOIN (SELECT shop, epoch_us("at") AS ordered, epoch_us(arrives) AS arrives, price FROM read_parquet('${shop.orders.all}')
       WHERE "at" > '2024-01-03 05:00:00' AND "at" <= '2024-01-03 16:00:00' AND arrives <= '2024-01-03 16:11:00') AS expected
     USING (shop, ordered, arrives, price) WHERE found.shop IS NULL OR expected.shop IS NULL`,
  )
  expect(different).toEqual([])
})

test('what was restated before a refresh saw it is one row, however often it is read again', async () => {
  const group = 'week_restated_v1'
  const shop = await openShop('restated', '2024-01-03T06:11:00Z', at('2024-01-04'))
  await run(shop, 'refresh', { group })
  for (const now of ['2024-01-03T07:11:00Z', '2024-01-03T08:11:00Z', '2024-01-03T09:11:00Z']) {
    await moveTo(shop, now)
    await run(shop, 'refresh', { group })
  }
  const found = await rowsOf(
    shop,
    group,
    `SELECT count(*) AS versions, max(rows.price - o.price) AS dearer FROM rows
     JOIN read_parquet('${shop.orders.all}') AS o ON o.shop = rows.shop AND epoch_us(o."at") = epoch_us(rows.event_timestamp)
     WHERE o."at" <= '2024-01-03 06:00:00' AND o.arrives <= '2024-01-03 06:10:00' GROUP BY rows.shop, rows.event_timestamp`,
  )
  expect(found.length).toBeGreaterThan(20)
  expect(found.every(({ versions, dearer }) => versions === 1n && dearer === 1)).toBe(true)
})

test('a late value that is no number corrects what was one', async () => {
  const shop = await openShop('nan', '2024-01-03T06:11:00Z', at('2024-01-04'))
  const groups = ['by_arrival_v1', 'week_queried_v1']
  for (const group of groups) await run(shop, 'refresh', { group })
  const connection = await duckdb.connect()
  await query(
    connection,
    `COPY (SELECT TIMESTAMP '2024-01-03 05:30:00' AS "at", TIMESTAMP '2024-01-03 06:20:00' AS arrives, 4::BIGINT AS shop, 'NaN'::DOUBLE AS price)
     TO '${join(shop.orders.source, 'late.parquet')}' (FORMAT parquet)`,
  )
  connection.closeSync()
  await moveTo(shop, '2024-01-03T06:31:00Z')
  for (const group of groups) {
    expect(await run(shop, 'refresh', { group })).toMatchObject({ intervals: 0, rows: 1 })
    const feature = group === 'by_arrival_v1' ? 'revenue_6h' : 'mean_price'
    const versions = await rowsOf(
      shop,
      group,
      `SELECT isnan(${feature}) AS gone FROM rows WHERE shop = 4 ORDER BY created_timestamp`,
    )
    expect(versions).toEqual([{ gone: false }, { gone: true }])
  }
})
