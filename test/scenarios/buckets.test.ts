/**
 * The whole life of groups whose tables are cut into buckets, beside a twin whose table is not: the same rows are published,
 * served and found by joins, and by PyIceberg, of which filters by key read the files of one bucket alone.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, isVerified, planRegistration, verifyOnline } from '../../activities/index.ts'
import {
  applyTransform,
  bucketOfFile,
  bucketSql,
  planScan,
  readDataFiles,
  type DataFile,
  type Filter,
  type Table,
} from '../../iceberg/index.ts'
import { durationMs, type TrainingRequest } from '../../model/index.ts'
import { query, type Row } from '../../offline/index.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { databasePath, warehousePath } from '../../worker/paths.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import { byCountry, byShop } from '../fixtures/buckets.ts'
import { differences, startPyIceberg } from '../iceberg/pyiceberg.ts'
import { letArrive, makeLateOrders, type LateOrders } from '../support/lateOrders.ts'
import { orphanFiles, publishedRows } from '../support/published.ts'
import { backfill, buildTraining, refresh } from '../support/steps.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('bucketed')
const config = readConfig(
  {
    ASOF_HOME: join(folder, 'home'),
    ASOF_FEATURES: fileURLToPath(new URL('../fixtures/buckets.ts', import.meta.url)),
    ...{ ASOF_CLOCK: '2024-01-02T18:15:00Z', ORDERS_PATH: join(folder, 'orders') },
    ...{ ASOF_MEMORY_LIMIT: '500MB', ASOF_THREADS: '2' },
  },
  folder,
)
const groups = ['plain_v1', byCountry.id, byShop.id]
const bucketed = [
  {
    group: byCountry.id,
    key: 'country',
    type: 'string',
    count: 4,
    values: ['at', 'pt', 'Österreich', 'nowhere'],
  },
  { group: byShop.id, key: 'shop', type: 'long', count: 3, values: [0n, 3n, 6n, 99n] },
] as const

const python = startPyIceberg()
let store: Store
let orders: LateOrders
/** The published rows as they were before the rewrite. */
let before: string[]

const at = (text: string) => Date.parse(text)
const moveTo = (text: string) => moveStoreClock(store.registry, { to: at(text) })
const localPath = (location: string) => store.fileIO.localPath(location)
const tableOf = (group: string) => store.catalog.loadTable({ namespace: store.store, name: group })
const relationOf = ({ schema }: Table, files: readonly DataFile[]) =>
  readDataFiles({ schema, files, localPath })

/** Twins are refreshed one after the other, at moments of their own. */
const rowsOf = (group: string) =>
  publishedRows(
    store,
    group,
    'main',
    `* EXCLUDE (run_id, created_timestamp), created_timestamp = event_timestamp + INTERVAL 10 MINUTE AS is_history`,
  )

async function sql(text: string): Promise<Row[]> {
  const connection = await store.duckdb.connect()
  try {
    return await query(connection, text)
  } finally {
    connection.closeSync()
  }
}

beforeAll(async () => {
  store = await openStore(config)
  orders = await makeLateOrders({
    ...{ duckdb: store.duckdb, folder, from: '2024-01-01', days: 2, dearAt: '2024-01-01T12:00:00' },
    ...{ latenessMs: durationMs('10h'), seed: 11 },
  })
  await letArrive(orders, 0, at('2024-01-02T18:00:00Z'))
  await python.open({
    name: config.store,
    uri: `sqlite:///${databasePath(config)}`,
    warehouse: `file://${warehousePath(config)}`,
  })
  await applyRegistration(store, await planRegistration(store))
  for (const group of groups) {
    await backfill(store, { group, from: '2024-01-01T08:00:00Z', to: '2024-01-02T18:00:00Z' })
  }
  before = await rowsOf('plain_v1')
})

afterAll(async () => {
  await python.close()
  await store?.close()
})

async function expectTwins(): Promise<string[]> {
  const rows = await rowsOf('plain_v1')
  for (const { group } of bucketed) {
    expect(await rowsOf(group), group).toEqual(rows)
    const [verified] = await verifyOnline(store, group)
    expect(verified).toMatchObject({ loaded: true, behind: false, differing: 0, missing: 0, leftOver: 0 })
    expect(verified && isVerified(verified)).toBe(true)
  }
  return rows
}

test('a backfill publishes the rows of the twin, a file for every day and bucket, in the order of entity and time', async () => {
  expect(await expectTwins()).toEqual(before)
  expect((await planScan(await tableOf('plain_v1'))).files).toHaveLength(2)
  const connection = await store.duckdb.connect()
  for (const { group, key, type, count } of bucketed) {
    const table = await tableOf(group)
    const { files } = await planScan(table)
    expect(files).toHaveLength(2 * count)
    for (const file of files) {
      const bucket = bucketOfFile(table.metadata, file, key)
      const rows = `(SELECT *, row_number() OVER () AS place FROM ${relationOf(table, [file])})`
      const found = await query(
        connection,
        `SELECT min(${bucketSql(connection, count, type, key)}) AS least, max(${bucketSql(connection, count, type, key)}) AS greatest,
           count(*) FILTER (place <> ordered) AS misplaced
         FROM (SELECT *, row_number() OVER (ORDER BY country, shop, event_timestamp) AS ordered FROM ${rows})`,
      )
      expect(found).toEqual([{ least: bucket?.number, greatest: bucket?.number, misplaced: 0n }])
    }
  }
  connection.closeSync()
})

test('a rewrite of one interval replaces its rows in every bucket and leaves the others', async () => {
  await letArrive(orders, at('2024-01-02T18:00:00Z'), at('2024-01-02T20:00:00Z'))
  for (const group of groups) {
    await backfill(store, {
      ...{ group, from: '2024-01-02T14:00:00Z', to: '2024-01-02T15:00:00Z' },
      rewrite: true,
    })
  }
  const rows = await expectTwins()
  const changed = rows.filter((row) => !before.includes(row))
  expect(changed.length).toBeGreaterThan(0)
  expect(changed.every((row) => row.includes('2024-01-02 15:00:00'))).toBe(true)
  for (const { group } of bucketed) expect(await orphanFiles(store, group)).toEqual([])
})

test('refreshes add what has come due, and later versions of what late orders have changed', async () => {
  for (const until of ['20', '23']) {
    await letArrive(orders, at('2024-01-02T20:00:00Z'), at(`2024-01-02T${until}:00:00Z`))
    await moveTo(`2024-01-02T${until}:15:00Z`)
    for (const group of groups) await refresh(store, group)
  }
  const rows = await expectTwins()
  const live = rows.filter((row) => row.endsWith('false]'))
  const corrected = live.filter((row) => !/ (21|22|23):00:00/.test(row))
  expect([live.length > corrected.length, corrected.length > 0]).toEqual([true, true])
})

test.each(bucketed)('PyIceberg finds in $group what is there, by $key', async ({ group, key, values }) => {
  const table = await tableOf(group)
  const filters = values.map((value): Filter => ({ column: key, op: 'eq', value }))
  const connection = await store.duckdb.connect()
  const name = `${store.store}.${group}`
  expect(await differences({ table, name, filters, connection, python, localPath })).toEqual([])
  connection.closeSync()
  const counts = await Promise.all(
    filters.map(async (filter) => (await python.read({ table: name, filter })).length),
  )
  expect(counts.map((found) => found > 0)).toEqual([true, true, true, false])
})

describe('a training set', () => {
  /** Data files of a table that are opened while a set is built, and the set's rows. */
  async function build(name: string, group: string, labels: TrainingRequest['labels']) {
    const opened = new Set<string>()
    const fileIO: Store['fileIO'] = {
      ...store.fileIO,
      localPath: (location) => {
        if (location.includes(`/${group}/data/`)) opened.add(location)
        return store.fileIO.localPath(location)
      },
    }
    const model = `${group.replace(/^by_|_v1$/g, '')}_model`
    const { manifestPath } = await buildTraining({ ...store, fileIO }, { name, service: model, labels })
    const manifest = Buffer.from(await store.fileIO.read(manifestPath)).toString()
    const { files } = JSON.parse(manifest) as { files: string[] }
    const [file = ''] = files
    return { opened, rows: await sql(`SELECT * FROM read_parquet('${localPath(file)}')`) }
  }

  const hours = ['2024-01-01T12:30:00Z', '2024-01-02T16:05:00Z', '2024-01-03T06:00:00Z']
  const labelsOf = (
    entities: readonly { country: string | null; shop: number }[],
  ): TrainingRequest['labels'] => ({
    rows: entities.flatMap((entity) => hours.map((hour) => ({ at: hour, ...entity }))),
    ...{ columns: { country: 'string', shop: 'int64' }, time: 'at' },
  })
  const bucketsOf = async (group: string, key: string, files: Iterable<string>) => {
    const table = await tableOf(group)
    const opened = new Set(files)
    const { files: all } = await planScan(table)
    const read = all.filter(({ filePath }) => opened.has(filePath))
    return {
      all: all.length,
      read: new Set(read.map((file) => bucketOfFile(table.metadata, file, key)?.number)),
    }
  }

  test.each(bucketed)('reads of $group the buckets of its labels alone', async ({ group, key }) => {
    const one = labelsOf([
      { country: 'pt', shop: 3 },
      { country: null, shop: 3 },
      { country: 'pt', shop: 3 },
    ])
    const plain = await build(`few_${key}`, 'plain_v1', one)
    expect(plain.rows.filter((row) => Number(row['orders_6h']) > 0)).toHaveLength(6)
    const { opened, rows } = await build('few', group, one)
    expect(rows).toEqual(plain.rows)
    const { all, read } = await bucketsOf(group, key, opened)
    expect(read.size).toBe(1)
    expect(opened.size).toBeLessThan(all / 2)
    expect(plain.opened.size).toBe((await planScan(await tableOf('plain_v1'))).files.length)
  })

  test.each(bucketed)(
    'of all entities reads all of $group, and finds the same',
    async ({ group, key, count }) => {
      const countries = ['at', 'de', 'fr', 'it', 'pt', 'Österreich', 'nowhere']
      const all = labelsOf(
        countries.flatMap((country) => [0, 1, 2, 3, 4, 5, 6].map((shop) => ({ country, shop }))),
      )
      const { opened, rows } = await build('all', group, all)
      expect(rows).toEqual((await build('all', 'plain_v1', all)).rows)
      expect((await bucketsOf(group, key, opened)).read.size).toBe(count)
    },
  )

  test('of more keys than are looked for reads all buckets, and loses none of the keys', async () => {
    // Nearly all of them lie in one bucket, and the one that finds a row in another.
    const bucketOf = (shop: number) => applyTransform('bucket[3]', 'long', BigInt(shop))
    const strangers = Array.from({ length: 10_000 }, (_, at) => ({ country: 'at', shop: 10 + at }))
    const many = labelsOf([
      ...strangers.filter(({ shop }) => bucketOf(shop) !== bucketOf(3)),
      { country: 'at', shop: 3 },
    ])
    const { opened, rows } = await build('many', byShop.id, many)
    expect(rows.filter((row) => row['orders_6h'] !== null)).toHaveLength(3)
    expect(rows).toEqual((await build('many', 'plain_v1', many)).rows)
    expect((await bucketsOf(byShop.id, 'shop', opened)).read.size).toBe(3)
  })

  test('of keys that are null alone reads nothing', async () => {
    const { opened, rows } = await build('none', byCountry.id, labelsOf([{ country: null, shop: 3 }]))
    expect(rows.map((row) => row['orders_6h'])).toEqual([null, null, null])
    expect(opened.size).toBe(0)
  })
})

test('a table that was made otherwise is not taken for a bucketed one', async () => {
  const { catalog, registry } = store
  const table = await tableOf('plain_v1')
  await catalog.createTable(
    { namespace: store.store, name: 'again_v1' },
    { schema: table.schema, spec: table.spec },
  )
  const again = { ...byShop, id: 'again_v1', name: 'again' }
  const deps: Store = {
    ...store,
    definitions: { ...store.definitions, groups: new Map([['again_v1', again]]), services: new Map() },
  }
  const applied = planRegistration(deps).then((plan) => applyRegistration(deps, plan))
  await expect(applied).rejects.toThrow(
    /again_v1 asks for bucket\[3\] of shop, but its table again_v1 is there already, partitioned by day as event_timestamp_day\. /,
  )
  expect(await registry.group('again_v1')).toBeNull()
})
