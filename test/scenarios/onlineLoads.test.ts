/** Loads that meet each other, the end of a table or of a store, one by one; and what `asof online verify` says. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createActivities, isVerified, verifyOnline } from '../../activities/index.ts'
import { groupOf } from '../../activities/groupOf.ts'
import { ensureTable } from '../../activities/groupTable.ts'
import { loadSnapshot, type StoreLoad } from '../../activities/materializeGroup.ts'
import type { Snapshot, Table } from '../../iceberg/index.ts'
import { UnavailableError } from '../../model/index.ts'
import type { OnlineStore } from '../../online/index.ts'
import { openTables } from '../../online/lmdbTables.ts'
import type { Store } from '../../worker/openStore.ts'
import {
  BrokeOff,
  days,
  dying,
  group,
  newStore,
  published,
  relationOf,
  signalled,
  stored,
  through,
} from '../support/onlineWorld.ts'
import { expire, replaceDays } from '../support/publishRows.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('online-loads')
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
  store = await newStore(folder, `home-${home}`, redis.url)
  return () => store.close()
})

const online = (name: string): OnlineStore => {
  const found = store.onlineStores.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no online store ${name}`)
  return found
}
const table = async (): Promise<Table> => (await groupOf(store, group)).table

/** The shops that have a row on one day, or none of them. */
const publish = async (seed: number, day: string, shops: number): Promise<Snapshot> =>
  replaceDays(store, await table(), [day], shops === 0 ? null : relationOf(seed, [day], shops))

async function load(to: OnlineStore, change: Partial<StoreLoad> = {}): Promise<number | null> {
  const { bound, table: now } = await groupOf(store, group)
  const at = change.table ?? now
  const snapshot = change.snapshot ?? at.snapshot(at.ref('main') ?? 0n)
  if (snapshot === null) throw new Error('nothing is published')
  const signal = new AbortController().signal
  const plan = { store: to, table: at, bound, snapshot, full: false, signal, ...change }
  return (await loadSnapshot(store, plan))?.entities ?? null
}

/** A store whose next write waits: `reached` when a load has come to it, `goOn` to let it write. */
function paused(to: OnlineStore) {
  const [gate, reached] = [signalled(), signalled()]
  const waiting = through(to, async (...args) => {
    reached.give()
    await gate.given
    return to.write(...args)
  })
  return { waiting, reached: reached.given, goOn: gate.give }
}

async function untilAnswers(to: OnlineStore): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await to.listGroups()
      return
    } catch (error) {
      if (!(error instanceof UnavailableError) || tries === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

test('what has expired comes back when the ttl grows, and is not called lost before', async () => {
  await publish(1, first, 9)
  const { bound } = await groupOf(store, group)
  const withTtl = (ttl: `${number}h`) => ({ ...bound, group: { ...bound.group, ttl } })
  const one = online('redis')
  await load(one, { bound: withTtl('1h') })
  const all = await published(store)
  expect(await stored(one)).toEqual(all)
  // As Redis does a day later.
  await redis.look(async (client) => {
    const keys = await client.keys(`${store.store}:${group}:*`)
    const expiring = []
    for (const key of keys) if ((await client.pttl(key)) > 0) expiring.push(key)
    expect(expiring.length).toBe(all.length)
    await client.unlink(...expiring)
  })
  const verdicts = async () => (await verifyOnline(store, group)).find(({ store: name }) => name === 'redis')
  expect(await verdicts()).toMatchObject({ missing: 0, entities: all.length })
  await load(one, { bound: withTtl('1h') })
  expect(await stored(one)).toEqual([])
  await load(one, { bound: withTtl('720h') })
  expect(await stored(one)).toEqual(all)
  await redis.look((client) => client.flushdb())
  expect((await verdicts())?.missing).toBe(all.length)
})

describe.each(['lmdb', 'redis'])('%s', (name) => {
  test('what a load wrote before it broke off goes when its rows do', async () => {
    await publish(1, first, 4)
    await load(online(name))
    await publish(2, second, 9)
    await expect(load(dying(online(name)))).rejects.toThrow(BrokeOff)
    expect((await stored(online(name))).length).toBeGreaterThan((await published(store)).length / 2)
    await publish(3, second, 0)
    await load(online(name))
    expect(await stored(online(name))).toEqual(await published(store))
  })

  test('what a load that is overtaken still writes is not served', async () => {
    await publish(1, first, 4)
    await load(online(name))
    await publish(2, second, 9)
    const { waiting, reached, goOn } = paused(online(name))
    const late = load(waiting)
    await reached
    await publish(3, second, 0)
    await load(online(name))
    goOn()
    await late
    expect(await stored(online(name))).toEqual(await published(store))
    expect((await online(name).readCard(group))?.complete?.snapshotId).toBe(
      String((await table()).ref('main')),
    )
  })

  test('an old snapshot is not loaded over a newer one, and its load says nothing of later runs', async () => {
    const old = await publish(1, first, 9)
    const before = await table()
    await publish(2, first, 0)
    expect(await load(online(name))).toBe(0)
    expect(await load(online(name), { table: before, snapshot: old })).toBe(null)
    expect(await stored(online(name))).toEqual([])
    const runs = []
    for await (const file of store.fileIO.list(`${(await table()).location}/loads`)) runs.push(file)
    expect(runs.length).toBe(2)
  })

  test('a table made anew replaces the old one, and its late load comes to nothing by the load after the next', async () => {
    const old = await publish(1, first, 9)
    const before = await table()
    const { waiting, reached, goOn } = paused(online(name))
    const late = load(waiting, { table: before, snapshot: old })
    await reached
    const { bound } = await groupOf(store, group)
    await store.catalog.dropTable(before.identifier)
    await ensureTable(store, bound)
    await publish(2, second, 3)
    await load(online(name))
    expect(await stored(online(name))).toEqual(await published(store))
    goOn()
    await late
    expect((await stored(online(name))).length).toBeGreaterThan((await published(store)).length)
    await load(online(name))
    expect(await stored(online(name))).toEqual(await published(store))
    await publish(3, first, 2)
    await load(online(name))
    expect(await stored(online(name))).toEqual(await published(store))
    // And from then on it catches up again.
    expect((await createActivities(store).materializeGroup({ group })).considered).toBeGreaterThan(0)
    expect(await createActivities(store).materializeGroup({ group })).toMatchObject({ considered: 0 })
  })

  test('a mark whose snapshot has expired makes the next load a full one', async () => {
    const marked = await publish(1, first, 9)
    await load(online(name))
    await publish(2, first, 3)
    await expire(store, await table(), [marked.snapshotId])
    await load(online(name))
    expect(await stored(online(name))).toEqual(await published(store))
    const [report] = await verifyOnline({ ...store, onlineStores: [online(name)] }, group)
    expect(report).toMatchObject({ behind: false, differing: 0, missing: 0, leftOver: 0 })
  })
})

describe('redis', () => {
  test('emptied in the middle of a load that catches up, it is not marked as if it had everything', async () => {
    await publish(1, first, 9)
    await load(online('redis'))
    await publish(2, second, 6)
    const { waiting, reached, goOn } = paused(online('redis'))
    const late = load(waiting)
    await reached
    await redis.start({ empty: true })
    await untilAnswers(online('redis'))
    goOn()
    await expect(late).rejects.toThrow(/restarted or emptied while the load ran/)
    expect(await online('redis').readCard(group)).toBe(null)
    await load(online('redis'))
    expect(await stored(online('redis'))).toEqual(await published(store))
  })

  test('emptied, and loaded anew while an older load still runs, it takes nothing more of that', async () => {
    await publish(1, first, 9)
    const { waiting, reached, goOn } = paused(online('redis'))
    const late = load(waiting)
    await reached
    await redis.start({ empty: true })
    await untilAnswers(online('redis'))
    await publish(2, first, 3)
    await load(online('redis'))
    goOn()
    await expect(late).rejects.toThrow(/restarted or emptied while the load ran/)
    expect(await stored(online('redis'))).toEqual(await published(store))
  })

  test('while it is away the other store is loaded all the same, and it catches up by itself', async () => {
    await publish(1, first, 9)
    await createActivities(store).materializeGroup({ group })
    await publish(2, second, 5)
    await redis.kill()
    const reversed = { ...store, onlineStores: store.onlineStores.toReversed() }
    await expect(createActivities(reversed).materializeGroup({ group })).rejects.toMatchObject({
      type: 'UnavailableError',
      nonRetryable: false,
    })
    expect(await stored(online('lmdb'))).toEqual(await published(store))
    const [lmdb, away] = await verifyOnline(store, group)
    expect([lmdb && isVerified(lmdb), away && isVerified(away)]).toEqual([true, false])
    expect(away?.problem).toMatch(/cannot read.*ECONNREFUSED/)
    await redis.start()
    await untilAnswers(online('redis'))
    const [, behind] = await verifyOnline(store, group)
    expect(behind).toMatchObject({ behind: true, differing: 0, missing: 0, leftOver: 0, loaded: true })
    await createActivities(store).materializeGroup({ group })
    expect(await stored(online('redis'))).toEqual(await published(store))
  })
})

/** Changes a store past itself: a bit of one value, one value away, one under a key of nobody. */
async function tamper(name: string): Promise<{ changed: string; gone: string; added: string }> {
  const prefix = `${store.store}:${group}:`
  const rows = await stored(online(name))
  const texts = rows.map((row) => row.slice(0, row.indexOf(' ')).replace('|', '\\|').replace('/', '|'))
  const [changed, gone] = texts.map((text) => (text.startsWith('|') ? `\\e${text}` : text))
  if (changed === undefined || gone === undefined) throw new Error('two entities are wanted')
  const added = 'nobody|7'
  if (name === 'redis') {
    await redis.look(async (client) => {
      const value = await client.getBuffer(`${prefix}${changed}`)
      if (value === null) throw new Error(`no ${changed}`)
      await client.set(`${prefix}${added}`, value)
      await client.set(`${prefix}${changed}`, flipped(value))
      await client.del(`${prefix}${gone}`)
    })
    return { changed, gone, added }
  }
  const tables = openTables({ path: join(folder, `home-${home}`, 'online'), store: store.store })
  if (tables === null) throw new Error('no tables')
  const key = (text: string) => Buffer.from(`${prefix}${text}`)
  const value = Buffer.from(tables.values.getBinary(key(changed)) ?? '')
  tables.values.putSync(key(added), value)
  tables.values.putSync(key(changed), flipped(value))
  tables.values.removeSync(key(gone))
  await tables.root.close()
  return { changed, gone, added }
}

/** The last bit of the event timestamp. */
function flipped(value: Buffer): Buffer {
  const copy = Buffer.from(value)
  copy[29] = (copy[29] ?? 0) ^ 1
  return copy
}

describe('asof online verify', () => {
  const asof = (...args: string[]) =>
    spawnSync(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('../../scripts/asof.ts', import.meta.url)), ...args],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          ASOF_HOME: join(folder, `home-${home}`),
          ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
          ASOF_ONLINE: `lmdb,${redis.url}`,
          ORDERS_PATH: join(folder, 'orders'),
        },
      },
    )

  test('finds what was changed behind its back in either store, and nothing before', async () => {
    await publish(1, first, 9)
    const { length: entities } = await published(store)
    const never = { loaded: false, behind: true, entities, missing: entities }
    expect(await verifyOnline(store, group)).toMatchObject([never, never])
    await createActivities(store).materializeGroup({ group })
    expect((await verifyOnline(store, group)).map(isVerified)).toEqual([true, true])
    const clean = asof('online', 'verify', '-o', 'json')
    expect([clean.status, clean.stderr]).toEqual([0, ''])
    for (const [at, name] of ['lmdb', 'redis'].entries()) {
      const { changed, gone, added } = await tamper(name)
      const reports = await verifyOnline(store, group)
      expect(reports[at]).toMatchObject({
        ...{ store: name, entities, differing: 1, missing: 1, leftOver: 1, ahead: 0, problem: null },
        ...{ behind: false, loaded: true },
      })
      const examples = reports[at]?.examples.map(({ entity, finding }) => [entity, finding]) ?? []
      expect(new Map(examples as [string, string][])).toEqual(
        new Map([
          [changed, 'differs'],
          [gone, 'missing'],
          [added, 'left over'],
        ]),
      )
    }
    const found = asof('online', 'verify', group)
    expect(found.status).toBe(4)
    expect(found.stdout).toMatch(/shop_orders_v1 +lmdb +\d+ +\d +1 +1 +1 +0 +different\n.*redis/)
    expect(found.stderr).toMatch(/nobody\|7 is there and not published/)
    expect(asof('online', 'verify', 'nobody_v1').status).toBe(2)
    // What it tells people to do mends it.
    const cure = /asof online drop (\S+) --store redis/.exec(found.stderr)?.[1] ?? ''
    const dropped = asof('online', 'drop', cure, '--store', 'redis', '-o', 'json')
    expect(JSON.parse(dropped.stdout)).toEqual({ group, dropped: [{ store: 'redis', entities, slots: 0 }] })
    expect(dropped.stderr).toMatch(
      /answer 503 .* until it is loaded, which a running worker does .* at once: asof materialize shop_orders_v1/,
    )
    await createActivities(store).materializeGroup({ group })
    expect((await verifyOnline(store, group)).map(isVerified)).toEqual([false, true])
  }, 60_000)

  test('what cannot be dropped is said', async () => {
    await publish(1, first, 9)
    await createActivities(store).materializeGroup({ group })
    const nobody = asof('online', 'drop', 'nobody_v1')
    expect([nobody.status, nobody.stderr]).toEqual([
      2,
      expect.stringMatching(/nothing is stored of a group "nobody_v1". Stored are shop_orders_v1/),
    ])
    const nowhere = asof('online', 'drop', group, '--store', 'disk')
    expect([nowhere.status, nowhere.stderr]).toEqual([
      2,
      expect.stringMatching(/no online store "disk". ASOF_ONLINE names lmdb, redis/),
    ])
    expect((await verifyOnline(store, group)).map(isVerified)).toEqual([true, true])
  })

  test('what a load under way has written is not held against a store', async () => {
    await publish(1, first, 9)
    await createActivities(store).materializeGroup({ group })
    const { length: entities } = await published(store)
    await publish(2, first, 7)
    for (const one of store.onlineStores) await expect(load(dying(one))).rejects.toThrow(BrokeOff)
    for (const report of await verifyOnline(store, group)) {
      expect([isVerified(report), report.behind, report.entities]).toEqual([true, true, entities])
      expect(report.ahead).toBeGreaterThan(0)
    }
  })
})
