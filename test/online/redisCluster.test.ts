/** A Redis Cluster of six nodes: the conformance suite, and losing nodes, their data, or the place of their slots. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../model/index.ts'
import { keySlot } from '../../online/keySlot.ts'
import { openRedis } from '../../online/redis.ts'
import { markCount, markKeys, markSlot } from '../../online/redisMarks.ts'
import { slotsOf, type Slot } from '../../online/slotId.ts'
import type { GroupCard, LoadStart, OnlineStore } from '../../online/store.ts'
import { masterOf, startCluster, type TestCluster } from '../support/redisCluster.ts'
import { cardOf, markOf, onlineStoreConformance, order, readValues, rowOf } from './conformance.ts'
import { slotCard } from './slotsConformance.ts'

const clusters: TestCluster[] = []
async function newCluster(): Promise<TestCluster> {
  const cluster = await startCluster()
  clusters.push(cluster)
  return cluster
}
afterAll(() => Promise.all(clusters.map((cluster) => cluster.end())))

onlineStoreConformance('redis cluster', async () => {
  const { url } = await newCluster()
  const open = () => openRedis({ url, store: 'test', timeoutMs: 1_000 })
  const store = open()
  return { store, isSpread: true, another: () => Promise.resolve(open()), cleanUp: () => store.close() }
})

/** Its record lies at the first of the three masters, so that it is there when the last one is lost. */
const group =
  ['a_v1', 'b_v1', 'c_v1', 'd_v1', 'e_v1', 'f_v1', 'g_v1'].find((name) => keySlot(`test:${name}`) < 5_000) ??
  ''
const loadOf = (n: number) => ({ snapshotId: markOf(order(n)).snapshotId, order: order(n) })
const entities = Array.from({ length: 300 }, (_, at) => `k${at}`)
const rows = (value: number) => entities.map((key) => rowOf(key, value))

async function load(store: OnlineStore, n: number, written = rows(n)): Promise<boolean | undefined> {
  const started = await store.startLoad(cardOf(group), loadOf(n))
  await store.write(cardOf(group), order(n), written, started?.life)
  await store.finishLoad(group, markOf(order(n)), started?.life)
  return started?.mustBeWhole
}

/** Every entity's value, or the words of a store that cannot be relied on; anything else is an error. */
async function readAll(store: OnlineStore): Promise<bigint[] | string> {
  try {
    const values = await readValues(
      store,
      group,
      entities.map((key) => [key]),
    )
    const found = await store.readCard(group)
    if (found === null || found.complete === null) return 'not loaded'
    return values.map((value) => value?.values[0] as bigint)
  } catch (error) {
    if (error instanceof UnavailableError) return error.message
    throw error
  }
}

const all = (value: number) => entities.map(() => BigInt(value))

/** Until it is read or loaded again; whatever is read in between is right or refused. */
async function untilServed(
  store: OnlineStore,
  value: number,
  again?: () => Promise<unknown>,
): Promise<number> {
  for (let tries = 1; ; tries++) {
    await again?.().catch((error: unknown) => {
      if (!(error instanceof UnavailableError)) throw error
    })
    const found = await readAll(store)
    if (typeof found !== 'string') {
      expect(found).toEqual(all(value))
      return tries
    }
    if (tries === 300) throw new Error(found)
    await sleep(100)
  }
}

test('slots are those that Redis says, and marks lie in all stretches', async () => {
  const cluster = await newCluster()
  const keys = [
    '',
    'a',
    'foo{bar}baz',
    'foo{}{bar}',
    'foo{{bar}}',
    '{user}.x',
    'é🛩:{ü}',
    'x{',
    'a}b{c}',
    '123456789',
  ]
  const slots = await cluster.masters[0]?.look((client) =>
    Promise.all(keys.map((key) => client.call('CLUSTER', 'KEYSLOT', key))),
  )
  expect(keys.map((key) => keySlot(key))).toEqual(slots)
  const stretches = markKeys('test', group).map((key) => Math.floor(keySlot(key) / 16))
  expect(stretches).toEqual(Array.from({ length: markCount }, (_, stretch) => stretch))
  expect(markSlot(7)).toBe(keySlot(markKeys('test', group)[7] ?? ''))
})

test('a process that closes a store ends, though the cluster be asked for its slots just then', async () => {
  const cluster = await newCluster()
  const program = `
    import { openRedis } from ${JSON.stringify(new URL('../../online/redis.ts', import.meta.url).href)}
    const store = openRedis({ url: process.env.CLUSTER_URL, store: 'test', timeoutMs: 1_000 })
    process.stdout.write(JSON.stringify(await store.listGroups()))
    process.stdin.once('data', () => store.close())`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    env: { ...process.env, CLUSTER_URL: cluster.url },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  try {
    await once(child.stdout, 'data')
    const nodes = [...cluster.masters, ...cluster.replicas]
    for (const node of nodes) node.pause()
    // It asks every two seconds.
    await sleep(2_500)
    child.stdin.end('close')
    await sleep(100)
    for (const node of nodes) node.resume()
    expect(await Promise.race([ended, sleep(5_000, ['still there'])])).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
    await ended
    await cluster.end()
  }
})

describe('a cluster that loses nodes', () => {
  let cluster: TestCluster
  let store: OnlineStore
  beforeAll(async () => {
    cluster = await newCluster()
    store = openRedis({ url: cluster.url, store: 'test', timeoutMs: 1_000 })
    await load(store, 1)
  })
  afterAll(() => store.close())

  test('a replica that has taken over serves on; whatever is asked meanwhile is right or refused', async () => {
    expect(await readAll(store)).toEqual(all(1))
    const [master, replica] = [cluster.masters[0], cluster.replicas[0]]
    if (master === undefined || replica === undefined) throw new Error('no such node')
    await cluster.untilFollowed(0)
    await master.kill()
    await untilServed(store, 1)
    // The record lies there: nobody knows whether it is all of it.
    expect(await load(store, 2)).toBe(true)
    expect(await load(store, 2)).toBe(false)
    await untilServed(store, 2)
    // What was the master comes back as a replica.
    await master.start()
    await cluster.untilWhole(master, (nodes) => /myself,slave/.test(nodes))
    await untilServed(store, 2)
  })

  test('a load over a change of masters is not marked', async () => {
    const [master, replica] = [cluster.masters[1], cluster.replicas[1]]
    if (master === undefined || replica === undefined) throw new Error('no such node')
    const started = await store.startLoad(cardOf(group), loadOf(3))
    await store.write(cardOf(group), order(3), rows(3).slice(0, 10), started?.life)
    await master.kill()
    await cluster.untilWhole(replica, (nodes) => /myself,master/.test(nodes))
    await untilServed(store, 2).catch(() => undefined)
    await expect(store.finishLoad(group, markOf(order(3)), started?.life)).rejects.toThrow(UnavailableError)
    await master.start()
    await cluster.untilWhole(master, (nodes) => /myself,slave/.test(nodes))
    await untilServed(store, 3, () => load(store, 3))
  })

  test('a master that is back empty is not believed, and the next load is whole and heals it', async () => {
    const [master, replica] = [cluster.masters[2], cluster.replicas[2]]
    if (master === undefined || replica === undefined) throw new Error('no such node')
    await replica.kill()
    await master.kill()
    expect(typeof (await readAll(store))).toBe('string')
    await master.start({ empty: true })
    await cluster.untilWhole(master)
    const fresh = openRedis({ url: cluster.url, store: 'test', timeoutMs: 1_000 })
    for (let tries = 0; tries < 20; tries++) {
      expect(typeof (await readAll(store))).toBe('string')
      expect(typeof (await readAll(fresh))).toBe('string')
      await sleep(50)
    }
    let whole: boolean | undefined
    await untilServed(store, 4, async () => {
      const started = await store.startLoad(cardOf(group), loadOf(4))
      whole = started?.mustBeWhole
      await store.write(cardOf(group), order(4), rows(4), started?.life)
      await store.finishLoad(group, markOf(order(4)), started?.life)
    })
    await untilServed(fresh, 4)
    expect(whole).toBe(true)
    expect(await load(store, 5, [])).toBe(false)
    await fresh.close()
  })

  test('a node that was emptied in the middle of a load has no mark, though it was not restarted', async () => {
    const started = await store.startLoad(cardOf(group), loadOf(6))
    await store.write(cardOf(group), order(6), rows(6), started?.life)
    await cluster.masters[2]?.look((client) => client.flushall())
    await expect(store.finishLoad(group, markOf(order(6)), started?.life)).rejects.toThrow(UnavailableError)
    expect(typeof (await readAll(store))).toBe('string')
    await untilServed(store, 6, () => load(store, 6))
  })

  test('what groups of a pre-joined service share is believed of none whose marks a node has lost', async () => {
    // Their records lie at the other masters.
    const [unfinished, loaded] =
      Array.from({ length: 100 }, (_, at) => slotsOf(`model${at}_v1`, ['a_v1', 'b_v1'])).find((pair) =>
        pair.every(({ id }) => keySlot(`test:${id}`) < 10_000),
      ) ?? []
    if (unfinished === undefined || loaded === undefined) throw new Error('no such names')
    for (const slot of [unfinished, loaded]) {
      const started = await store.startLoad(slotCard(slot), loadOf(1))
      await store.write(slotCard(slot), order(1), rows(1), started?.life)
      if (slot === loaded) await store.finishLoad(slot.id, markOf(order(1)), started?.life)
    }
    const keys = () => entities
    const read = (slots: readonly Slot[]) => store.fetch(slots.map(({ id }) => ({ group: id, keys })))
    const found = await read([unfinished, loaded])
    expect(found.map((one) => one?.values.includes(null))).toEqual([false, false])
    await cluster.masters[2]?.look((client) => client.flushall())
    expect((await read([unfinished]))[0]?.values.includes(null)).toBe(true)
    await expect(read([loaded])).rejects.toThrow(/model\d+_v1_.*cannot be relied on/)
    await expect(read([unfinished, loaded])).rejects.toThrow(/cannot be relied on/)
    await untilServed(store, 6, () => load(store, 6))
  })

  test('a slot that moves, its keys half there and half here, is read and written on', async () => {
    const serving = async (slot: number) => {
      for (const node of [...cluster.masters, ...cluster.replicas]) {
        const nodes = await node
          .look(async (client) => String(await client.call('CLUSTER', 'NODES')))
          .catch(() => '')
        const own = /myself,master .*connected (.*)/.exec(nodes)?.[1] ?? ''
        if (
          own.split(' ').some((range) => {
            const [from = NaN, to = from] = range.split('-').map(Number)
            return from <= slot && slot <= to
          })
        )
          return node
      }
      throw new Error(`nobody serves slot ${slot}`)
    }
    const slots = [...new Set(entities.map((key) => keySlot(`test:${group}:${key}`)))].slice(0, 20)
    let reading = true
    const reads = (async () => {
      let served = 0
      while (reading) {
        const found = await readAll(store)
        if (typeof found !== 'string') {
          expect(found).toEqual(all(6))
          served++
        }
      }
      return served
    })()
    for (const slot of slots) {
      const from = await serving(slot)
      const to = await serving((slot + 8_192) % 16_384)
      if (from !== to) await cluster.move([slot], from, to)
    }
    reading = false
    expect(await reads).toBeGreaterThan(0)
    await untilServed(store, 6)
    expect(await load(store, 7)).toBe(false)
    await untilServed(store, 7)
  })
})

describe('a replica that takes over without the end of what its master had', () => {
  let cluster: TestCluster
  let store: OnlineStore
  beforeEach(async () => {
    cluster = await newCluster()
    store = openRedis({ url: cluster.url, store: 'test', timeoutMs: 1_000 })
    await load(store, 1)
    return async () => {
      await store.close()
      await cluster.end()
    }
  })

  const isAt = (node: number) => (key: string) => masterOf(keySlot(`test:${group}:${key}`)) === node

  test('is not believed: neither older values nor none at all stand for what was loaded', async () => {
    const late = ['new1', 'new2', 'new3', 'new4', 'new5', 'new6'].filter(isAt(1))
    expect(late.length).toBeGreaterThan(0)
    const whole = [...rows(2), ...late.map((key) => rowOf(key, 2))]
    await cluster.loseTail(1, () => load(store, 2, whole))
    const fresh = openRedis({ url: cluster.url, store: 'test', timeoutMs: 1_000 })
    const asked = [...entities.filter(isAt(1)).slice(0, 5), ...late]
    const refusals = new Set<string>()
    for (const reader of [store, fresh]) {
      for (let turn = 0; turn < 40; turn++) {
        for (const key of asked) {
          const words = await readValues(reader, group, [[key]]).then(
            ([value]) => `served ${String(value?.values[0])}`,
            (error: unknown) => (error instanceof UnavailableError ? error.message : String(error)),
          )
          refusals.add(words)
        }
        await sleep(20)
      }
      expect(await readAll(reader)).toMatch(/cannot be relied on: a node has lost values/)
    }
    expect([...refusals].filter((words) => !words.startsWith('online store redis+cluster:'))).toEqual([])
    expect([...refusals].join()).toMatch(/has them from an older load.*asof materialize/)
    // What it lacks is told of to the next load, though that be of the same snapshot.
    expect(await load(store, 2, whole)).toBe(true)
    for (const reader of [store, fresh]) {
      await untilServed(reader, 2)
      expect(
        (
          await readValues(
            reader,
            group,
            late.map((key) => [key]),
          )
        ).map((value) => value?.values[0]),
      ).toEqual(late.map(() => 2n))
    }
    await fresh.close()
  })

  test.each([
    ['ended', (started: LoadStart | null) => store.finishLoad(group, markOf(order(2)), started?.life)],
    ['broke off', () => Promise.resolve()],
  ])("with the group's record makes the next load whole, after one that had %s", async (_, end) => {
    await cluster.loseTail(0, async () => {
      const started = await store.startLoad(cardOf(group), loadOf(2))
      await store.write(cardOf(group), order(2), rows(2), started?.life)
      await end(started)
    })
    // The record is that of the first load: all there is is of that one or of a later one.
    let card: GroupCard | null = null
    while (card === null) card = await store.readCard(group).catch(() => null)
    expect([card.complete, await store.unfinishedLoads(group)]).toEqual([markOf(order(1)), []])
    let found: Awaited<ReturnType<typeof readAll>> = ''
    while (typeof found === 'string') found = await readAll(store)
    expect(found).toEqual(entities.map((key) => (isAt(0)(key) ? 1n : 2n)))
    // A load that does not end tells the next one no less.
    for (let turn = 0; turn < 2; turn++) {
      const started = await store.startLoad(cardOf(group), loadOf(3))
      expect(started).toMatchObject({ mustBeWhole: true, isFirst: false })
    }
    expect(await load(store, 4)).toBe(true)
    await untilServed(store, 4)
    expect(await load(store, 5)).toBe(false)
    await untilServed(store, 5)
  })
})
