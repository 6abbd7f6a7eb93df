/**
 * The worker's own steps over a Redis Cluster of six nodes: loads that follow each other, a master that is lost under one
 * of them, and a replica that takes over without the end of what its master had.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { createActivities, isVerified, verifyOnline } from '../../activities/index.ts'
import { groupOf } from '../../activities/groupOf.ts'
import { UnavailableError } from '../../model/index.ts'
import { readGroup, type KeyValue, type OnlineStore } from '../../online/index.ts'
import { keySlot } from '../../online/keySlot.ts'
import type { Store } from '../../worker/openStore.ts'
import {
  days,
  group,
  lineOf,
  newStore,
  published,
  relationOf,
  stored,
  through,
} from '../support/onlineWorld.ts'
import { replaceDays } from '../support/publishRows.ts'
import { masterCount, masterOf, startCluster, type TestCluster } from '../support/redisCluster.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('online-cluster')
const [first = '', second = ''] = days
let cluster: TestCluster
let store: Store
let home = 0

beforeEach(async () => {
  cluster = await startCluster()
  store = await newStore(folder, `home-${++home}`, cluster.url)
  return async () => {
    await store.close()
    await cluster.end()
  }
})

const online = (): OnlineStore => {
  const found = store.onlineStores.find(({ name }) => name === 'redis')
  if (found === undefined) throw new Error('no cluster')
  return found
}

/** The shops that have a row on one day, or none of them. */
const publish = async (seed: number, day: string, shops: number) =>
  replaceDays(
    store,
    (await groupOf(store, group)).table,
    [day],
    shops === 0 ? null : relationOf(seed, [day], shops),
  )

/** As a worker does: what is away is tried again. @returns how often it was in vain */
async function materialize(stores = store.onlineStores): Promise<number> {
  for (let failures = 0; ; failures++) {
    try {
      await createActivities({ ...store, onlineStores: stores }).materializeGroup({ group })
      return failures
    } catch (error) {
      expect(error).toMatchObject({ type: 'UnavailableError', nonRetryable: false })
      if (failures === 60) throw error
      await sleep(250)
    }
  }
}

const countries = ['at', 'de|', '']
const entities = countries.flatMap((country) =>
  Array.from({ length: 9 }, (_, shop): KeyValue[] => [country, BigInt(shop)]),
)
const nameOf = (keys: readonly KeyValue[]) => keys.map(String).join('/')

/** What is served of every entity, by its name; null where that is nothing, and for all where it cannot be told. */
async function served(): Promise<Map<string, string | null> | null> {
  try {
    const found = await readGroup(online(), group, () => entities)
    // Which a reader answers with 503, too.
    if (found === null || found.card.complete === null) return null
    return new Map(
      entities.map((keys, at) => {
        const value = found.values[at] ?? null
        return [nameOf(keys), value === null ? null : lineOf(keys, value)]
      }),
    )
  } catch (error) {
    if (error instanceof UnavailableError) return null
    throw error
  }
}

async function expected(): Promise<Map<string, string | null>> {
  const lines = await published(store)
  return new Map(
    entities.map((keys) => {
      const name = nameOf(keys)
      return [name, lines.find((line) => line.startsWith(`${name} `)) ?? null]
    }),
  )
}

async function untilServed(): Promise<Map<string, string | null>> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await served()
    if (found !== null) return found
    await sleep(50)
  }
  throw new Error('It is never served.')
}

/** Everything is there, nothing else is, and that is what is served. */
async function expectEqual(): Promise<void> {
  expect(
    (await verifyOnline(store, group)).map((report) => [report.store, isVerified(report), report.behind]),
  ).toEqual([
    ['lmdb', true, false],
    ['redis', true, false],
  ])
  expect(await stored(online())).toEqual(await published(store))
  expect(await untilServed()).toEqual(await expected())
}

/** Where the record lies, and a node where it does not. */
const nodes = () => {
  const record = masterOf(keySlot(`${store.store}:${group}`))
  return { record, another: (record + 1) % masterCount }
}

test('loads of all and of what is new, of what goes and of what comes back, end equal on all nodes', async () => {
  await publish(1, first, 9)
  expect(await materialize()).toBe(0)
  await expectEqual()
  const sizes = await Promise.all(
    cluster.masters.map((node) => node.look((client) => client.keys(`*:${group}:*|*`))),
  )
  expect(sizes.map(({ length }) => length > 0)).toEqual([true, true, true])
  for (const [day, shops] of [
    [second, 5],
    [first, 2],
    [second, 0],
    [first, 9],
  ] as const) {
    await publish(home + shops, day, shops)
    expect(await materialize()).toBe(0)
    await expectEqual()
  }
  const { length: entities } = await published(store)
  expect(await verifyOnline(store, group)).toMatchObject([{ entities }, { entities }])
  expect(await createActivities(store).materializeGroup({ group })).toMatchObject({ considered: 0 })
})

describe.each(['record', 'another'] as const)('the node of %s', (which) => {
  test('is lost under a load: whoever reads meanwhile is told right or refused, and the retry ends equal', async () => {
    await publish(1, first, 9)
    await materialize()
    const before = await untilServed()
    await publish(2, first, 6)
    const after = await expected()
    expect(after).not.toEqual(before)
    const [master, replica] = [cluster.masters[nodes()[which]], cluster.replicas[nodes()[which]]]
    if (master === undefined || replica === undefined) throw new Error('no such node')
    // What it has not heard of the first load is another test's affair.
    await cluster.untilFollowed(nodes()[which])

    let isRunning = true
    let [answers, refusals] = [0, 0]
    const reading = (async () => {
      while (isRunning) {
        const found = await served()
        if (found === null) refusals++
        else answers++
        for (const [name, line] of found ?? [])
          expect([before.get(name), after.get(name)], name).toContain(line)
        await sleep(5)
      }
    })()
    let isThere = true
    const killing = through(online(), async (card, order, rows, life) => {
      if (isThere) {
        isThere = false
        const [written] = await Promise.all([online().write(card, order, rows, life), master.kill()])
        return written
      }
      return online().write(card, order, rows, life)
    })
    const failures = await materialize([...store.onlineStores.filter(({ name }) => name === 'lmdb'), killing])
    expect(failures).toBeGreaterThan(0)
    isRunning = false
    await reading
    expect([answers > 0, refusals > 0]).toEqual([true, true])
    await materialize()
    await expectEqual()
    await master.start()
    await cluster.untilWhole(master, (nodes) => /myself,slave/.test(nodes))
    await publish(3, second, 4)
    await materialize()
    await expectEqual()
  })

  test('comes back without its last load: that is served when it was loaded again, and nothing of what went since', async () => {
    await publish(1, first, 4)
    await materialize()
    const before = await untilServed()
    await cluster.loseTail(nodes()[which], async () => {
      await publish(2, second, 9)
      await materialize()
    })
    const after = await expected()
    for (let turn = 0; turn < 20; turn++) {
      const found = await served()
      for (const [name, line] of found ?? []) expect([before.get(name), after.get(name)]).toContain(line)
      // Where the mark is that of the load that is lost, its values are not made up for by older ones.
      if (which === 'another') expect(found).toBe(null)
      await sleep(50)
    }
    await publish(3, second, 0)
    await materialize()
    await expectEqual()
  })
})
