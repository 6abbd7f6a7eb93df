/** Pre-joined services on real engines: what loads do with their slots, and what commands and the watcher say of them. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  applyRegistration,
  createActivities,
  isVerified,
  planRegistration,
  verifyOnline,
} from '../../activities/index.ts'
import { groupOf } from '../../activities/groupOf.ts'
import { groupIdsOf, type FeatureService } from '../../model/index.ts'
import { slotsOf, type OnlineStore } from '../../online/index.ts'
import type { Store } from '../../worker/openStore.ts'
import { watchOnline } from '../../worker/watchOnline.ts'
import { pairModel, shopPrices } from '../fixtures/joinedShop.ts'
import { days, newStore, published, relationOf, stored } from '../support/onlineWorld.ts'
import { replaceDays } from '../support/publishRows.ts'
import { publishRun } from '../support/publishRun.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('pre-joined-loads')
const [orders, items, prices] = ['shop_orders_v1', 'shop_items_v1', 'shop_prices_v1']
const [first = '', second = ''] = days
let redis: TestRedis
let store: Store
let home = 0

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis?.end())
beforeEach(async () => {
  home += 1
  await redis.look((client) => client.flushall())
  store = await newStore(folder, `home-${home}`, redis.url, 'joinedShop.ts')
  return () => store.close()
})

/** By group, which of the columns its rows have. */
const columns: Record<string, string> = {
  [orders]: '*',
  [items]: 'country, shop, event_timestamp, created_timestamp, run_id, items_6h AS items_24h',
  [prices]: 'country, shop, event_timestamp, created_timestamp, run_id, revenue_24h AS taken_24h',
}
async function publish(group: string, seed: number, day: string, shops: number): Promise<void> {
  const { table } = await groupOf(store, group)
  const relation = `(SELECT ${columns[group]} FROM ${relationOf(seed, [day], shops)})`
  await replaceDays(store, table, [day], shops === 0 ? null : relation)
}
const materialize = (group: string, full = false, of: Store = store) =>
  createActivities(of).materializeGroup({ group, full })

/** The store with other services, which are registered then. */
async function apply(...services: FeatureService[]): Promise<void> {
  const definitions = { ...store.definitions, services: new Map(services.map((one) => [one.name, one])) }
  const deps = { ...store, definitions }
  await applyRegistration(deps, await planRegistration(deps))
}

const slotOf = (group: string, service: FeatureService = pairModel) => {
  const slot = slotsOf(service.name, groupIdsOf(service)).find((one) => one.group === group)
  if (slot === undefined) throw new Error(`${service.name} does not take ${group}`)
  return slot
}
const bothStores = async (look: (online: OnlineStore) => Promise<void>) => {
  for (const online of store.onlineStores) await look(online)
}
const markOf = async (online: OnlineStore, id: string) => (await online.readCard(id))?.complete ?? null
/** Everything that is verified, by service and store, of both groups. */
async function verified(): Promise<string[]> {
  const reports = [...(await verifyOnline(store, orders)), ...(await verifyOnline(store, items))]
  expect(reports.map((report) => [report.service, report.store, report.problem, report.behind])).toEqual(
    [1, 2].flatMap(() =>
      ['lmdb', 'redis'].flatMap((name) =>
        [null, pairModel.name].map((service) => [service, name, null, false]),
      ),
    ),
  )
  return reports
    .filter((report) => !isVerified(report))
    .map(({ group, service, store: name }) => [group, service, name].join(' '))
}

test('a load of a group fills its slot with the same, catches it up, and counts the group alone', async () => {
  await publish(orders, 1, first, 9)
  await publish(items, 2, first, 5)
  const [all, some] = [await published(store, orders), await published(store, items)]
  const stores = store.onlineStores.length
  expect(await materialize(orders)).toMatchObject({ entities: stores * all.length, tombstones: 0 })
  await bothStores(async (online) => {
    expect(await stored(online, slotOf(orders).id)).toEqual(all)
    expect(await online.readCard(slotOf(items).id)).toBe(null)
  })
  expect(await materialize(items)).toMatchObject({ entities: stores * some.length })
  expect(some.length).toBeLessThan(all.length)
  await bothStores(async (online) => expect(await stored(online, slotOf(items).id)).toEqual(some))
  expect(await verified()).toEqual([])

  // Some rows change, and some go.
  await publish(orders, 3, first, 4)
  await publish(orders, 4, second, 2)
  const loaded = await materialize(orders)
  expect(loaded.tombstones).toBeGreaterThan(0)
  await bothStores(async (online) => {
    expect(await stored(online, slotOf(orders).id)).toEqual(await published(store, orders))
    expect(await stored(online, slotOf(items).id)).toEqual(some)
  })
  expect(await verified()).toEqual([])

  // Nothing new is a load of the slot, too.
  const before = await markOf(store.onlineStores[0] as OnlineStore, slotOf(orders).id)
  expect(await materialize(orders)).toMatchObject({ entities: 0, considered: 0 })
  const after = await markOf(store.onlineStores[0] as OnlineStore, slotOf(orders).id)
  expect(after?.loadedAtMs).toBeGreaterThan(before?.loadedAtMs ?? Infinity)

  // One load file a run and store: those of the group's own loads.
  const { table } = await groupOf(store, orders)
  const loads = readdirSync(store.fileIO.localPath(`${table.location}/loads`))
  expect(loads.length).toBe(3 * stores)
})

test('a full load buries in the slot what no table has, and leaves the other slots', async () => {
  await publish(orders, 1, first, 9)
  await publish(items, 2, first, 9)
  await materialize(orders)
  await materialize(items)
  await bothStores(async (online) => {
    const card = await online.readCard(slotOf(orders).id)
    if (card?.complete == null) throw new Error('the slot was not loaded')
    const { order } = card.complete
    const values = card.schema.features.map(() => null)
    await online.write(card, { ...order, sequenceNumber: order.sequenceNumber - 1n }, [
      { keys: ['xx', 99n], eventTimestampMicros: 0n, values },
    ])
  })
  expect((await verified()).sort()).toEqual(
    ['lmdb', 'redis'].map((name) => `${orders} pair_model_v1 ${name}`),
  )
  await materialize(orders, true)
  expect(await verified()).toEqual([])
})

test('a slot is never ahead of its group: it has the snapshot that the group was loaded from', async () => {
  await publish(orders, 1, first, 9)
  const [online] = store.onlineStores
  if (online === undefined) throw new Error('a store without an online store')
  let isLate = false
  const busy = new Proxy(online, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      const method = member.bind(target) as (...args: unknown[]) => Promise<unknown>
      if (name !== 'finishLoad') return method
      return async (...args: unknown[]) => {
        await method(...args)
        if (!isLate) await publish(orders, 2, second, 9)
        isLate = true
      }
    },
  })
  await materialize(orders, false, { ...store, onlineStores: [busy] })
  const own = await markOf(online, orders)
  expect(own).not.toBe(null)
  expect(await markOf(online, slotOf(orders).id)).toMatchObject({ snapshotId: own?.snapshotId })
  const { table } = await groupOf(store, orders)
  expect(own?.snapshotId).not.toBe(String(table.ref('main')))
})

test('slots of services that have changed go with the next load of their group, and the new ones come', async () => {
  await publish(orders, 1, first, 9)
  await publish(items, 2, first, 5)
  const loadBoth = async () => [await materialize(orders), await materialize(items)]
  await loadBoth()
  const slotsOfBoth = [slotOf(orders), slotOf(items)].map(({ id }) => id).sort()
  const listed = () => Promise.all(store.onlineStores.map((online) => online.listSlots()))
  expect(await listed()).toEqual([slotsOfBoth, slotsOfBoth])

  const wider = { ...pairModel, features: [...pairModel.features, shopPrices.pick('taken_24h')] }
  await apply(wider)
  await materialize(orders)
  const [old, now] = [slotOf(items).id, slotOf(orders, wider).id]
  expect(await listed()).toEqual([[old, now].sort(), [old, now].sort()])
  await bothStores(async (online) => {
    expect(await stored(online, now)).toEqual(await stored(online, orders))
    expect(await stored(online, old)).toEqual(await stored(online, items))
  })
  await materialize(items)
  await publish(prices, 3, first, 3)
  await materialize(prices)
  const three = [orders, items, prices].map((group) => slotOf(group, wider).id).sort()
  expect(await listed()).toEqual([three, three])

  await apply({ ...wider, preJoined: false })
  await loadBoth()
  expect(await listed()).toEqual([[slotOf(prices, wider).id], [slotOf(prices, wider).id]])
  await materialize(prices)
  expect(await listed()).toEqual([[], []])
  // Nothing is left of them in either store.
  expect(await redis.look((client) => client.keys('*!*'))).toEqual([])
  await bothStores(async (online) => {
    for (const group of [orders, items, prices]) {
      expect(await stored(online, group)).toEqual(await published(store, group))
    }
  })
})

test('a lost slot, and one of a service that was just applied, are loaded without anybody asking', async () => {
  await apply({ ...pairModel, preJoined: false })
  for (const group of [orders, items]) {
    await publishRun(store, { group, from: '2024-01-02', to: '2024-01-03' })
    await materialize(group)
  }
  const look = watchOnline(store, (group) => materialize(group))
  expect([await look(), await look()]).toEqual([[], []])
  await apply(pairModel)
  expect(await look()).toEqual([])
  expect((await look()).sort()).toEqual([items, orders])
  expect([await verified(), await look(), await look()]).toEqual([[], [], []])
  const [, other] = store.onlineStores
  await other?.drop(slotOf(items).id)
  expect([await look(), await look()]).toEqual([[], [items]])
  expect([await verified(), await look()]).toEqual([[], []])
})

test('verify, status and drop speak of slots as parts of a service, and nobody drops one alone', async () => {
  const asof = (...args: string[]) =>
    spawnSync(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('../../scripts/asof.ts', import.meta.url)), ...args],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          ASOF_HOME: join(folder, `home-${home}`),
          ASOF_FEATURES: fileURLToPath(new URL('../fixtures/joinedShop.ts', import.meta.url)),
          ASOF_ONLINE: `lmdb,${redis.url}`,
          ORDERS_PATH: join(folder, 'orders'),
        },
      },
    )
  interface StatusRow {
    readonly [field: string]: unknown
  }
  await publish(orders, 1, first, 9)
  await publish(items, 2, first, 5)
  await materialize(orders)
  expect(asof('show', pairModel.name).stdout).toMatch(/^pair_model_v1, pre-joined\n/)
  // The slot of the other group was never loaded, and the service is served without it.
  await apply({ ...pairModel, preJoined: false })
  await materialize(items)
  await apply(pairModel)
  const never = asof('online', 'status', '-o', 'json')
  expect(never.status).toBe(0)
  const rows = JSON.parse(never.stdout) as StatusRow[]
  const stateOf = (name: string, group: string, service: string | null) =>
    rows.find((row) => row['store'] === name && row['group'] === group && row['service'] === service)
  for (const name of ['lmdb', 'redis']) {
    expect(stateOf(name, items, null)).toMatchObject({ state: 'fresh', isMain: true })
    expect(stateOf(name, items, pairModel.name)).toMatchObject({ state: 'never loaded', entities: null })
    expect(stateOf(name, orders, pairModel.name)).toMatchObject({
      state: 'fresh',
      isMain: true,
      entities: null,
    })
  }
  expect(rows.filter((row) => String(row['group']).includes('!'))).toEqual([])
  expect(never.stderr.match(/asof materialize shop_items_v1 \(lmdb\)/g)).toHaveLength(1)
  await materialize(items)

  // A value that somebody has changed in one slot.
  const [lmdb] = store.onlineStores
  const card = await lmdb?.readCard(slotOf(items).id)
  if (card?.complete == null) throw new Error('the slot was not loaded')
  const { order } = card.complete
  const [row] = await stored(lmdb as OnlineStore, items)
  const [country = '', shop = ''] = (row ?? '').split(' ')[0]?.split('/') ?? []
  await lmdb?.write(card, { ...order, sequenceNumber: order.sequenceNumber + 100n }, [
    { keys: [country, BigInt(shop)], eventTimestampMicros: 5n, values: [77n] },
  ])
  const found = asof('online', 'verify', items)
  expect(found.status).toBe(4)
  expect(found.stdout).toMatch(/^shop_items_v1 +lmdb .* equal$/m)
  expect(found.stdout).toMatch(/^shop_items_v1, slot of pair_model_v1 +lmdb .* different$/m)
  expect(found.stdout).toMatch(/^shop_items_v1, slot of pair_model_v1 +redis .* equal$/m)
  expect(found.stderr).toMatch(/^shop_items_v1, slot of pair_model_v1 in lmdb: \S+ has another value than/m)
  expect(found.stderr).toMatch(/asof online drop shop_items_v1 --store lmdb/)

  // Nobody drops a slot alone; what people are told to do mends it.
  const alone = asof('online', 'drop', slotOf(items).id)
  expect([alone.status, alone.stderr]).toEqual([
    2,
    expect.stringMatching(/nothing is stored of a group .*\. Stored are shop_items_v1, shop_orders_v1\.\n/),
  ])
  expect(asof('online', 'verify', slotOf(items).id).status).toBe(2)
  const dropped = asof('online', 'drop', items, '--store', 'lmdb', '-o', 'json')
  const entities = (await published(store, items)).length
  expect(JSON.parse(dropped.stdout)).toEqual({
    group: items,
    dropped: [{ store: 'lmdb', entities, slots: 1 }],
  })
  expect(await lmdb?.readCard(slotOf(items).id)).toBe(null)
  expect(await lmdb?.readCard(slotOf(orders).id)).not.toBe(null)
  await materialize(items)
  expect(await verified()).toEqual([])

  // One that nobody wants any more is said to be that.
  await apply({ ...pairModel, preJoined: false })
  const left = asof('online', 'status')
  expect(left.status).toBe(0)
  expect(left.stdout).toMatch(/^redis +shop_items_v1, slot of pair_model_v1 .* left over$/m)
  expect(left.stdout).toMatch(/^redis +shop_items_v1 .* fresh$/m)
  expect(left.stderr).toMatch(/asof materialize shop_items_v1 \(redis\)/)
  const doctor = asof('doctor')
  expect(doctor.stdout).toMatch(/online redis +2 groups loaded/)
})
