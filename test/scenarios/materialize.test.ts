/** The online store converges on the published table (rule 9): the steps of a run on real engines, without a server. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { query } from '../../offline/index.ts'
import type { OnlineStore } from '../../online/index.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { watchOnline } from '../../worker/watchOnline.ts'
import { readValues } from '../online/conformance.ts'
import { writeOrders } from '../support/orders.ts'
import { publishRun } from '../support/publishRun.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'shop_orders_v1'
const folder = temporaryFolder('materialize')
const orders = join(folder, 'orders')
let store: Store
let online: OnlineStore
let config: Config
const closers: (() => Promise<void>)[] = []

beforeAll(async () => {
  await writeOrders(orders, ['2024-01-01', '2024-01-02'])
  const environment = {
    ASOF_HOME: join(folder, 'home'),
    ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
    ASOF_CLOCK: '2024-01-08T00:30:00Z',
    ASOF_MEMORY_LIMIT: '500MB',
    ORDERS_PATH: orders,
  }
  config = readConfig(environment, folder)
  store = await openStore(config)
  const [first] = store.onlineStores
  if (first === undefined) throw new Error('a store without an online store')
  online = first
  await applyRegistration(store, await planRegistration(store))
})

afterAll(async () => {
  for (const close of closers) await close()
  await store?.close()
})

const publish = (from: string, to: string, rewrite = false) => publishRun(store, { group, from, to, rewrite })

const materialize = (full = false) => createActivities(store).materializeGroup({ group, full })

/** Keys and event time of every stored value. */
async function served(): Promise<string[]> {
  const rows: string[] = []
  for await (const { keys, value } of online.scan(group))
    if (value !== null) rows.push([...keys, value.eventTimestampMicros].join(' '))
  return rows.sort()
}

/** The same of the newest row of every entity, by plain SQL over the source: the last is the one after a day without events. */
async function newest(days: string): Promise<string[]> {
  const connection = await store.duckdb.connect()
  const rows = await query(
    connection,
    `SELECT country, shop, epoch_us(least(date_trunc('hour', max("at")) + INTERVAL 25 HOUR, TIMESTAMP '2024-01-05')) AS last
     FROM read_parquet('${orders}/orders-${days}.parquet') GROUP BY ALL`,
  )
  connection.closeSync()
  return rows.map((row) => `${String(row['country'])} ${String(row['shop'])} ${String(row['last'])}`).sort()
}

test('loads catch up, find nothing twice, and bury whoever has no published row any more', async () => {
  await publish('2024-01-02', '2024-01-05')
  expect(await materialize()).toMatchObject({ entities: 21, tombstones: 0, considered: 21 })
  expect(await served()).toEqual(await newest('*'))
  expect(await materialize()).toMatchObject({ entities: 0, considered: 0 })
  expect(await materialize(true)).toMatchObject({ entities: 0, tombstones: 0, considered: 21 })

  // Every event of the second day goes: rows that only it had are published no more, after a rewrite.
  rmSync(join(orders, 'orders-2024-01-02.parquet'))
  await publish('2024-01-02', '2024-01-05', true)
  expect((await materialize()).considered).toBe(21)
  expect(await served()).toEqual(await newest('2024-01-01'))
})

test('a full load buries what is in the store and in no table', async () => {
  const card = await online.readCard(group)
  if (card?.complete == null) throw new Error('the group was not loaded')
  const { incarnation, sequenceNumber } = card.complete.order
  const before = await served()
  const values = card.schema.features.map(() => null)
  await online.write(card, { incarnation, sequenceNumber: sequenceNumber - 1n }, [
    { keys: ['xx', 99n], eventTimestampMicros: 0n, values },
  ])
  expect(await served()).toHaveLength(before.length + 1)
  expect(await materialize()).toMatchObject({ considered: 0 })
  expect(await materialize(true)).toMatchObject({ entities: 1, tombstones: 1 })
  expect(await served()).toEqual(before)
  expect(await readValues(online, group, [['xx', 99n]])).toEqual([null])
})

test('an entity whose last row is taken back leaves a tombstone on the way of the next load', async () => {
  // All events go but one shop's: the others are touched, and win nothing.
  await writeOrders(orders, ['2024-01-01', '2024-01-02'])
  await publish('2024-01-02', '2024-01-05', true)
  await materialize()
  const connection = await store.duckdb.connect()
  for (const day of ['2024-01-01', '2024-01-02']) {
    const file = join(orders, `orders-${day}.parquet`)
    await query(
      connection,
      `CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM read_parquet('${file}') WHERE shop = 3`,
    )
    await query(connection, `COPY kept TO '${file}' (FORMAT parquet)`)
  }
  connection.closeSync()
  await publish('2024-01-02', '2024-01-05', true)
  const loaded = await materialize()
  expect(loaded).toMatchObject({ considered: 21, entities: 21, tombstones: 18 })
  expect(await served()).toEqual(await newest('*'))
  expect(await served()).toHaveLength(3)
})

test('a store that has lost the group is loaded again, once it was missing twice, and left alone when it is whole', async () => {
  await materialize(true)
  const before = await served()
  expect(before.length).toBeGreaterThan(0)
  const look = watchOnline(store, () => materialize())
  expect([await look(), await look()]).toEqual([[], []])
  await online.drop(group)
  expect(await look()).toEqual([])
  expect(await online.readCard(group)).toBe(null)
  expect(await look()).toEqual([group])
  expect(await served()).toEqual(before)
  expect([await look(), await look()]).toEqual([[], []])
})

test('nothing is loaded that is not published, or not served', async () => {
  const started: string[] = []
  const start = (id: string) => Promise.resolve(started.push(id))
  const looks = [
    watchOnline({ ...store, registry: await emptyRegistry() }, start),
    watchOnline({ ...store, definitions: { groups: new Map() } }, start),
  ]
  await online.drop(group)
  for (const look of looks) for (let n = 0; n < 3; n++) await look()
  expect(started).toEqual([])
})

/** The same group, registered, in a store of its own that has published nothing. */
async function emptyRegistry(): Promise<Store['registry']> {
  const other = await openStore({ ...config, home: join(folder, 'other') })
  await applyRegistration(other, await planRegistration(other))
  closers.push(() => other.close())
  return other.registry
}
