/** The reader's cache over LMDB and over real Redis: what it answers is never older, nor said to be newer, than it may be. */
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { InputError, UnavailableError } from '../../model/index.ts'
import { cached, type CachedStore } from '../../online/cache.ts'
import { openLmdb } from '../../online/lmdb.ts'
import { readingsOf } from '../../online/read.ts'
import { openRedis } from '../../online/redis.ts'
import { trackRedis, type RedisTracking } from '../../online/redisTracking.ts'
import { slotsOf, type Slot } from '../../online/slotId.ts'
import type { GroupFound, OnlineStore } from '../../online/store.ts'
import { valueSchema } from '../../online/value.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { cardOf, markOf, onlineStoreConformance, order, readValues, rowOf } from './conformance.ts'
import { slotCard } from './slotsConformance.ts'

/** What the test has opened, to be closed with it. */
const closing: (() => Promise<unknown>)[] = []
const closeAll = async () => {
  for (const close of closing.splice(0).reverse()) await close()
}
const closeLater = <T extends { close(): Promise<unknown> }>(one: T): T => {
  closing.push(() => one.close())
  return one
}

async function newServer(options: Parameters<typeof startRedis>[0] = {}): Promise<TestRedis> {
  const server = await startRedis(options)
  closing.push(() => server.end())
  return server
}

const folder = temporaryFolder('cache')
let folders = 0
const newFolder = () => join(folder, String(++folders))

const megabytes = 2 ** 20
const group = 'a_v1'

/** The store, but nothing is asked before all that was written has been told. */
const settling = (store: OnlineStore, tracking: RedisTracking): OnlineStore => ({
  ...store,
  fetch: async (asks) => {
    await tracking.settled()
    return store.fetch(asks)
  },
})

interface Tracked {
  readonly store: CachedStore
  readonly tracking: RedisTracking
}

async function openTracked(url: string, under?: OnlineStore): Promise<Tracked> {
  const tracking = trackRedis({ url, store: 'test' })
  const store = cached(under ?? openRedis({ url, store: 'test', timeoutMs: 1_000 }), {
    maxBytes: 8 * megabytes,
    keeps: { changes: tracking },
  })
  await tracking.started()
  return { store, tracking }
}

onlineStoreConformance('cached redis, tracking', async () => {
  const server = await startRedis()
  const open = async () => {
    const { store, tracking } = await openTracked(server.url)
    return settling(store, tracking)
  }
  const store = await open()
  const cleanUp = async () => {
    await store.close()
    await server.end()
  }
  return { store, another: open, cleanUp }
})

onlineStoreConformance('cached lmdb, ttl', () => {
  const path = newFolder()
  // A clock on which whatever was read before is too old.
  let nowMs = 0
  const open = () =>
    cached(openLmdb({ path, store: 'test' }), {
      maxBytes: megabytes,
      keeps: { ttlMs: 5 },
      monotonicMs: () => (nowMs += 5),
    })
  const store = open()
  return Promise.resolve({
    store,
    another: () => Promise.resolve(open()),
    cleanUp: () => store.close(),
  })
})

async function load(store: OnlineStore, n: number, keys: readonly string[], of = group): Promise<void> {
  const rows = keys.map((key) => rowOf(key, n))
  await store.write(cardOf(of), order(n), rows)
  await store.finishLoad(of, markOf(order(n)))
}

async function find(store: OnlineStore, keys: readonly string[], of = group): Promise<GroupFound | null> {
  const [found = null] = await store.fetch([{ group: of, keys: () => keys }])
  return found
}

/** What is answered, as numbers: the mark's and the values'. */
async function numbersOf(store: OnlineStore, keys: readonly string[]): Promise<(bigint | null)[] | null> {
  const found = await find(store, keys)
  if (found === null) return null
  const values = readingsOf(found, 0).map(({ features }) => features[0]?.value as bigint | null)
  return [found.card.complete?.order.sequenceNumber ?? null, ...values]
}

interface Watched {
  readonly store: OnlineStore
  /** The keys of every fetch since the last look. */
  asked(): string[][]
  /** Called with an answer before it is handed on. */
  before: (() => Promise<void>) | null
}

/** The store itself, watched from above. */
function watch(store: OnlineStore): Watched {
  let seen: string[][] = []
  const watched: Watched = {
    before: null,
    asked: () => [seen, (seen = [])][0] as string[][],
    store: Object.assign(Object.create(store) as OnlineStore, {
      fetch: async (asks: Parameters<OnlineStore['fetch']>[0]) => {
        const at = seen.push([]) - 1
        const found = await store.fetch(
          asks.map((ask) => ({
            group: ask.group,
            keys: (columns) => {
              const keys = ask.keys(columns)
              seen[at] = [...keys]
              return keys
            },
          })),
        )
        const { before } = watched
        watched.before = null
        await before?.()
        return found
      },
    }),
  }
  return watched
}

function openTtl(under: OnlineStore, { ttlMs = 100, maxBytes = megabytes } = {}) {
  const clock = { nowMs: 0 }
  const store = cached(under, { maxBytes, keeps: { ttlMs }, monotonicMs: () => clock.nowMs })
  return { store, clock }
}

function newLmdb(): OnlineStore {
  return closeLater(openLmdb({ path: newFolder(), store: 'test' }))
}

describe('for a time', () => {
  afterEach(closeAll)

  test('values, misses and tombstones are answered from memory, and only what lacks is asked', async () => {
    const lmdb = newLmdb()
    const { store: under, asked } = watch(lmdb)
    const { store } = openTtl(under)
    await load(lmdb, 1, ['a', 'b', 'c'])
    await lmdb.write(cardOf(group), order(1), [rowOf('gone', null)])
    expect(await numbersOf(store, ['a', 'none', 'gone', 'a'])).toEqual([1n, 1n, null, null, 1n])
    expect(asked()).toEqual([['a', 'none', 'gone', 'a']])
    expect(await numbersOf(store, ['gone', 'a', 'none'])).toEqual([1n, null, 1n, null])
    expect(asked()).toEqual([])
    expect(await numbersOf(store, ['b', 'a', 'c', 'none', 'b'])).toEqual([1n, 1n, 1n, 1n, null, 1n])
    expect(asked()).toEqual([['b', 'c', 'b']])
    expect(await numbersOf(store, [])).toEqual([1n])
    expect(asked()).toEqual([])
    expect(store.counters()).toMatchObject({ hits: 5, misses: 7, isOn: true })
  })

  test('what was read counts for the time and no longer, from when it was asked', async () => {
    const lmdb = newLmdb()
    const watched = watch(lmdb)
    const { store, clock } = openTtl(watched.store)
    await load(lmdb, 1, ['a', 'b'])
    // From here on the card stays the same.
    await lmdb.write(cardOf(group), order(2), [])
    // The answer takes 60 ms.
    watched.before = () => Promise.resolve(void (clock.nowMs = 60))
    await numbersOf(store, ['a'])
    await lmdb.write(cardOf(group), order(2), [rowOf('a', 2)])
    clock.nowMs = 99.9
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    await numbersOf(store, ['b'])
    clock.nowMs = 100
    expect(await numbersOf(store, ['a'])).toEqual([1n, 2n])
  })

  test('a group that was dropped or is new is no longer unknown than that', async () => {
    const lmdb = newLmdb()
    const { store, clock } = openTtl(lmdb)
    expect(await numbersOf(store, ['a'])).toBe(null)
    await load(lmdb, 1, ['a'])
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    await lmdb.drop(group)
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    // Whoever asks for more than is in memory learns of it at once.
    expect(await numbersOf(store, ['a', 'b'])).toBe(null)
    expect(await numbersOf(store, ['a'])).toBe(null)
    await load(lmdb, 1, ['a'])
    await numbersOf(store, ['a'])
    await lmdb.drop(group)
    clock.nowMs += 100
    expect(await numbersOf(store, ['a'])).toBe(null)
  })

  test('no answer has the mark of a load and a value from before it', async () => {
    const lmdb = newLmdb()
    const { store: under, asked } = watch(lmdb)
    const { store } = openTtl(under)
    await load(lmdb, 1, ['a', 'b', 'c'])
    await numbersOf(store, ['a', 'b'])
    await load(lmdb, 2, ['a', 'b', 'c'])
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    asked()
    expect(await numbersOf(store, ['a', 'c', 'b'])).toEqual([2n, 2n, 2n, 2n])
    expect(asked()).toEqual([['c'], ['a', 'c', 'b']])
    expect(await numbersOf(store, ['a'])).toEqual([2n, 2n])
  })

  test('values of a new schema come with it', async () => {
    const lmdb = newLmdb()
    const { store } = openTtl(lmdb)
    await load(lmdb, 1, ['a'])
    await numbersOf(store, ['a'])
    const schema = valueSchema([...cardOf(group).schema.features, { name: 'late', type: 'float64' }])
    const row = { keys: ['b'], eventTimestampMicros: 20n, values: [2n, 0.25] }
    await lmdb.write(cardOf(group, { schema }), order(2), [row])
    const values = await readValues(store, group, [['a'], ['b']])
    expect(values.map((value) => value?.values)).toEqual([[1n], [2n, 0.25]])
  })

  test('a group with other keys is asked by those', async () => {
    const lmdb = newLmdb()
    const { store } = openTtl(lmdb)
    await load(lmdb, 1, ['a'])
    await readValues(store, group, [['a']])
    await lmdb.drop(group)
    const keys = [{ name: 'driver', type: 'int64' }] as const
    await lmdb.write(cardOf(group, { keys }), order(2), [{ ...rowOf('', 2), keys: [7n] }])
    const [found] = await store.fetch([
      { group, keys: ([column]) => (column?.type === 'int64' ? ['7'] : ['a', 'b']) },
    ])
    expect(found?.card.keys).toEqual(keys)
    expect(readingsOf(found as GroupFound, 0).map(({ features }) => features[0]?.value)).toEqual([2n])
  })

  test('a value that is remembered expires', async () => {
    const lmdb = newLmdb()
    const { store: under, asked } = watch(lmdb)
    const { store } = openTtl(under)
    await lmdb.write(cardOf(group, { ttlMs: 1 }), order(1), [rowOf('a', 100)])
    const statusAt = async (nowMs: number) => {
      const [reading] = readingsOf((await find(store, ['a'])) as GroupFound, nowMs)
      return reading?.features[0]?.status
    }
    expect([await statusAt(2), await statusAt(3)]).toEqual(['PRESENT', 'OUTSIDE_MAX_AGE'])
    expect(asked().length).toBe(1)
  })

  test('a question that cannot be asked, and a read that fails, leave nothing behind', async () => {
    const lmdb = newLmdb()
    const watched = watch(lmdb)
    const { store } = openTtl(watched.store)
    await load(lmdb, 1, ['a'])
    await load(lmdb, 1, ['a'], 'b_v1')
    const fail = () => {
      throw new InputError('no such feature')
    }
    const both = () =>
      store.fetch([
        { group, keys: () => ['a'] },
        { group: 'b_v1', keys: fail },
      ])
    await expect(both()).rejects.toThrow(InputError)
    await find(store, [], 'b_v1')
    await expect(both()).rejects.toThrow(InputError)
    watched.before = () => Promise.reject(new UnavailableError('away'))
    await expect(find(store, ['a'])).rejects.toThrow('away')
    watched.asked()
    expect([await numbersOf(store, ['a']), await numbersOf(store, ['a'])]).toEqual([
      [1n, 1n],
      [1n, 1n],
    ])
    expect(watched.asked()).toEqual([['a']])
  })

  test('a million distinct ids stay within the bound, and those that are asked for again stay in memory', async () => {
    const lmdb = newLmdb()
    const { store: under, asked } = watch(lmdb)
    const maxBytes = 4 * megabytes
    const { store } = openTtl(under, { ttlMs: 1e9, maxBytes })
    const hot = Array.from({ length: 500 }, (_, index) => `hot${index}`)
    await load(lmdb, 1, [...hot, ...Array.from({ length: 5_000 }, (_, index) => `id${index * 200}`)])
    let greatest = 0
    let lost = 0
    for (let at = 0; at < 1_000_000; at += 1_000) {
      await find(
        store,
        Array.from({ length: 1_000 }, (_, index) => `id${at + index}`),
      )
      asked()
      const found = await numbersOf(store, hot)
      expect(new Set(found)).toEqual(new Set([1n]))
      if (at > 0) lost += asked().flat().length
      greatest = Math.max(greatest, store.counters().bytes)
    }
    expect(greatest).toBeLessThanOrEqual(maxBytes)
    expect(greatest).toBeGreaterThan(maxBytes * 0.8)
    expect(lost).toBeLessThan(0.01 * 500 * 1_000)
    // What was asked once, long ago, is gone.
    await find(store, ['id0'])
    expect(asked()).toEqual([['id0']])
  })

  test('a value of any size fits or is not kept, and no memory of the store is', async () => {
    const lmdb = newLmdb()
    const { store } = openTtl(lmdb)
    const schema = valueSchema([{ name: 'text', type: 'string' }])
    const sizes = [0, 1, 16_000, 17_000, 300_000, 2_000_000]
    const rows = sizes.map((size, index) => ({
      keys: [`k${index}`],
      eventTimestampMicros: 0n,
      values: ['x'.repeat(size)],
    }))
    await lmdb.write(cardOf(group, { schema }), order(1), rows)
    for (let turn = 0; turn < 3; turn++) {
      const all = await readValues(
        store,
        group,
        rows.map(({ keys }) => keys),
      )
      expect(all.map((value) => value?.values)).toEqual(rows.map(({ values }) => values))
      expect(store.counters().bytes).toBeLessThanOrEqual(megabytes)
    }
    const [, own, again] = [await find(store, ['k1']), await find(store, ['k1']), await find(store, ['k1'])]
    expect(again?.values[0]).toBe(own?.values[0])
    expect(own?.values[0]?.buffer.byteLength).toBe(16 * 1024)
  })

  test('Redis is asked for nothing where all is in memory', async () => {
    const server = await newServer()
    const { store } = openTtl(closeLater(openRedis({ url: server.url, store: 'test' })))
    await load(store, 1, ['a', 'b'])
    await numbersOf(store, ['a', 'b'])
    const commands = () =>
      server.look(async (client) =>
        Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))?.[1]),
      )
    const before = await commands()
    const looking = (await commands()) - before
    for (let n = 0; n < 10; n++) expect(await numbersOf(store, ['b', 'a'])).toEqual([1n, 1n, 1n])
    expect((await commands()) - before).toBe(2 * looking)
  })

  test('a Redis that is gone or came back empty is served for the time and no longer', async () => {
    const server = await newServer()
    const { store, clock } = openTtl(
      closeLater(openRedis({ url: server.url, store: 'test', timeoutMs: 1_000 })),
    )
    await load(store, 1, ['a'])
    await numbersOf(store, ['a'])
    await server.kill()
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    clock.nowMs = 100
    await expect(numbersOf(store, ['a'])).rejects.toThrow(UnavailableError)
    await server.start({ empty: true })
    expect(await until(() => numbersOf(store, ['a']).catch(() => 'away'), isNot('away'))).toBe(null)
  })
})

const isNot =
  (unwanted: unknown) =>
  (value: unknown): boolean =>
    value !== unwanted

async function until<T>(look: () => T | Promise<T>, isWanted: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await look()
    if (isWanted(value)) return value
    if (tries > 1_000) throw new Error(`waited in vain, last for ${String(value)}`)
    await sleep(10)
  }
}

describe('kept exact by Redis', () => {
  afterEach(closeAll)

  const open = async () => {
    const server = await newServer()
    const raw = closeLater(openRedis({ url: server.url, store: 'test', timeoutMs: 1_000 }))
    const watched = watch(openRedis({ url: server.url, store: 'test', timeoutMs: 1_000 }))
    await load(raw, 1, ['a', 'b'])
    const { store, tracking } = await openTracked(server.url, watched.store)
    closeLater(store)
    return { server, raw, watched, store, tracking, isOn: () => store.counters().isOn }
  }

  test('a write, a load, a drop and FLUSHALL are seen at once; what they leave alone is not asked again', async () => {
    const { server, raw, watched, store, tracking } = await open()
    await raw.write(cardOf(group), order(2), [])
    await tracking.settled()
    expect(await numbersOf(store, ['a', 'b', 'none'])).toEqual([1n, 1n, 1n, null])
    await raw.write(cardOf(group), order(2), [rowOf('a', 2), rowOf('none', 2)])
    await tracking.settled()
    watched.asked()
    expect(await numbersOf(store, ['a', 'b', 'none'])).toEqual([1n, 2n, 1n, 2n])
    expect(watched.asked()).toEqual([['a', 'none']])
    await raw.finishLoad(group, markOf(order(2)))
    await tracking.settled()
    expect(await numbersOf(store, ['b'])).toEqual([2n, 1n])
    await raw.drop(group)
    await tracking.settled()
    expect(await numbersOf(store, ['b'])).toBe(null)
    await load(raw, 3, ['b'])
    await tracking.settled()
    expect(await numbersOf(store, ['b'])).toEqual([3n, 3n])
    await server.look((client) => client.flushall())
    await tracking.settled()
    expect(await numbersOf(store, ['b'])).toBe(null)
  })

  test('what was read before a change is not kept after it', async () => {
    const { raw, watched, store, tracking } = await open()
    const told = async (work: Promise<unknown>) => {
      await work
      await tracking.settled()
    }
    const write = (key: string, n: number) => told(raw.write(cardOf(group), order(n), [rowOf(key, n)]))
    const mark = (n: number) => told(raw.finishLoad(group, markOf(order(n))))
    // While a group is read for the first time, its card changes.
    watched.before = () => mark(2)
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    expect(await numbersOf(store, ['a'])).toEqual([2n, 1n])
    // Its card stays, and a value changes; one comes where there was none.
    await write('b', 3)
    await numbersOf(store, [])
    watched.before = () => write('a', 3)
    expect(await numbersOf(store, ['a'])).toEqual([2n, 1n])
    expect(await numbersOf(store, ['a'])).toEqual([2n, 3n])
    watched.before = () => write('new', 3)
    expect(await numbersOf(store, ['new'])).toEqual([2n, null])
    expect(await numbersOf(store, ['new'])).toEqual([2n, 3n])
    // A group that is known has another card.
    watched.before = () => mark(3)
    expect(await numbersOf(store, ['none'])).toEqual([2n, null])
    expect(await numbersOf(store, ['none', 'a'])).toEqual([3n, null, 3n])
  })

  test('keys are told apart, whatever is in them', async () => {
    const { raw, store, tracking } = await open()
    const keys = ['last_updated', 'a:b', 'a', ':', 'é🛩', '\u0000', 'a,b', 'x'.repeat(1024)]
    const texts = keys.map((key) => key.replace(/,/g, '\\,'))
    await load(raw, 2, keys)
    for (const [index, key] of keys.entries()) {
      // The card first, so that the write changes nothing but the value.
      await raw.write(cardOf(group), order(3 + index), [])
      await tracking.settled()
      await numbersOf(store, texts)
      await raw.write(cardOf(group), order(3 + index), [rowOf(key, 3 + index)])
      await tracking.settled()
      const wanted = keys.map((_, at) => BigInt(at <= index ? 3 + at : 2))
      expect(await numbersOf(store, texts)).toEqual([2n, ...wanted])
    }
  })

  test('under writes without end nothing is older than what was acknowledged, or than its card', async () => {
    const { raw, store, tracking } = await open()
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`)
    await load(raw, 1, keys)
    let [written, marked, isWriting] = [1n, 1n, true]
    const writing = (async () => {
      for (let n = 2; n <= 150; n++) {
        await raw.write(
          cardOf(group),
          order(n),
          keys.map((key) => rowOf(key, n)),
        )
        written = BigInt(n)
        if (n % 3 === 0) await nextTurn()
        if (n % 2 === 0) {
          await raw.finishLoad(group, markOf(order(n)))
          marked = BigInt(n)
        }
      }
      isWriting = false
    })()
    const read = async (part: number) => {
      for (let turn = part; isWriting; turn++) {
        const [oldest, oldestMark] = [written, marked]
        await tracking.settled()
        const asked = keys.filter((_, index) => (index + turn) % 3 > 0)
        const [mark, ...values] = (await numbersOf(store, asked)) as bigint[]
        for (const value of values) {
          expect(value).toBeGreaterThanOrEqual(oldest)
          expect(value).toBeGreaterThanOrEqual(mark as bigint)
        }
        expect(mark).toBeGreaterThanOrEqual(oldestMark)
      }
    }
    /** Without waiting: an answer may be a little old, and never says that it is newer than it is. */
    const readOn = async () => {
      while (isWriting) {
        const [mark, ...values] = (await numbersOf(store, keys)) as bigint[]
        for (const value of values) expect(value).toBeGreaterThanOrEqual(mark as bigint)
        await nextTurn()
      }
    }
    await Promise.all([writing, read(0), read(1), readOn()])
    expect(store.counters().hits).toBeGreaterThan(1_000)
    await tracking.settled()
    expect(new Set(await numbersOf(store, keys))).toEqual(new Set([150n]))
  })

  /** Two slots of one service, read through the cache with one list of keys: the marks', then the values' numbers. */
  const openSlots = async () => {
    const { server, raw, store, tracking } = await open()
    const slots = slotsOf('model_v1', ['a_v1', 'b_v1']) as [Slot, Slot]
    const write = (slot: Slot, n: number, keys: readonly string[]) =>
      raw.write(
        slotCard(slot),
        order(n),
        keys.map((key) => rowOf(key, n)),
      )
    const mark = (slot: Slot, n: number) => raw.finishLoad(slot.id, markOf(order(n)))
    const read = async (keys: readonly string[]) => {
      const found = await store.fetch(slots.map(({ id }) => ({ group: id, keys: () => keys })))
      return found.map((one) => {
        if (one === null) return null
        const values = readingsOf(one, 0).map(({ features }) => features[0]?.value as bigint | null)
        return [one.card.complete?.order.sequenceNumber ?? 0n, ...values]
      })
    }
    return { server, raw, store, tracking, slots, write, mark, read }
  }

  test('what one slot of an entity is given all slots of the service look at again, and nothing else is asked', async () => {
    const { server, raw, store, tracking, slots, write, mark, read } = await openSlots()
    const [a, b] = slots
    for (const slot of slots) {
      await write(slot, 1, ['x', 'y', 'last_updated'])
      await mark(slot, 1)
    }
    await write(a, 2, [])
    await tracking.settled()
    const keys = ['x', 'y', 'none', 'last_updated']
    const all = (n: bigint) => [1n, n, 1n, null, 1n]
    expect(await read(keys)).toEqual([all(1n), all(1n)])
    const { misses } = store.counters()
    expect(await read(keys)).toEqual([all(1n), all(1n)])
    expect(store.counters().misses).toBe(misses)
    await write(a, 2, ['x', 'none'])
    await tracking.settled()
    const looks = async (work: () => Promise<unknown>) => {
      await server.look((client) => client.config('RESETSTAT'))
      await work()
      const stats = await server.look((client) => client.info('stats'))
      return Number(/keyspace_hits:(\d+)/.exec(stats)?.[1]) + Number(/keyspace_misses:(\d+)/.exec(stats)?.[1])
    }
    // The versions of both, and what they share of two entities, once.
    const look = async () => expect(await read(keys)).toEqual([[1n, 2n, 1n, 2n, 1n], all(1n)])
    expect(await looks(look)).toBe(2 + 2)
    expect(store.counters().misses).toBe(misses + 4)
    // Of one list they lack one text each, and not the same.
    for (const slot of slots) await write(slot, 3, ['p', 'q'])
    await tracking.settled()
    for (const [at, { id }] of slots.entries()) {
      await store.fetch([{ group: id, keys: () => [at === 0 ? 'p' : 'q'] }])
    }
    expect(await looks(() => read(['p', 'q']))).toBe(2 + 2)
    expect(await read(['p', 'q'])).toEqual([
      [1n, 3n, 3n],
      [1n, 3n, 3n],
    ])
    await mark(b, 1)
    await raw.drop(a.id)
    await tracking.settled()
    expect(await read(keys)).toEqual([null, all(1n)])
  })

  test('under loads of two slots without end nothing is older than what was acknowledged, or than its card', async () => {
    const { store, tracking, slots, write, mark, read } = await openSlots()
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`)
    const written = [0n, 0n]
    const marked = [0n, 0n]
    let writing = slots.length
    const loads = async (slot: Slot, at: number) => {
      // And on, on whatever machine, until there was something to be wrong about.
      for (let n = 1; n <= 80 || store.counters().hits <= 50; n++) {
        await write(slot, n, keys)
        written[at] = BigInt(n)
        if (n % 3 === at) {
          await mark(slot, n)
          marked[at] = BigInt(n)
        }
        if (n % 5 === at) await nextTurn()
      }
      writing--
    }
    const reads = async (part: number) => {
      for (let turn = part; writing > 0; turn++) {
        const [oldest, oldestMarks] = [[...written], [...marked]]
        await tracking.settled()
        const found = await read(keys.filter((_, index) => (index + turn) % 3 > 0))
        for (const [at, answer] of found.entries()) {
          const [mark = 0n, ...values] = answer ?? []
          expect(mark).toBeGreaterThanOrEqual(oldestMarks[at] as bigint)
          for (const value of values) {
            expect(value ?? 0n).toBeGreaterThanOrEqual(oldest[at] as bigint)
            expect(value ?? 0n).toBeGreaterThanOrEqual(mark as bigint)
          }
        }
      }
    }
    await Promise.all([...slots.map(loads), reads(0), reads(1)])
    await tracking.settled()
    const values = (await read(keys)).map((answer) => new Set(answer?.slice(1)))
    expect(values).toEqual(written.map((last) => new Set([last])))
    expect(store.counters().hits).toBeGreaterThan(50)
  })

  test('when its connection is killed everything is forgotten, and it listens again by itself', async () => {
    const { server, raw, store, isOn } = await open()
    await numbersOf(store, ['a'])
    await server.look((client) => client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))
    // Of this nobody is told.
    await load(raw, 2, ['a'])
    await until(isOn, (on) => !on)
    expect(await numbersOf(store, ['a'])).toEqual([2n, 2n])
    await until(isOn, Boolean)
    expect(await numbersOf(store, ['a'])).toEqual([2n, 2n])
    const { hits } = store.counters()
    expect(await numbersOf(store, ['a'])).toEqual([2n, 2n])
    expect(store.counters().hits).toBe(hits + 1)
  })

  test('a Redis that is killed is not spoken for, and one that comes back empty is empty', async () => {
    const { server, raw, store, tracking, isOn } = await open()
    await numbersOf(store, ['a'])
    await server.kill()
    await until(isOn, (on) => !on)
    await expect(numbersOf(store, ['a'])).rejects.toThrow(UnavailableError)
    await server.start({ empty: true })
    expect(await until(() => numbersOf(store, ['a']).catch(() => 'away'), isNot('away'))).toBe(null)
    await until(isOn, Boolean)
    expect(await numbersOf(store, ['a'])).toBe(null)
    await load(raw, 2, ['a'])
    await tracking.settled()
    expect(await numbersOf(store, ['a'])).toEqual([2n, 2n])
  })

  test('a Redis that hangs is not spoken for once that is noticed; when it goes on, so does the cache', async () => {
    const { server, raw, watched, store, tracking, isOn } = await open()
    await numbersOf(store, ['a'])
    server.pause()
    await until(isOn, (on) => !on)
    await expect(numbersOf(store, ['a'])).rejects.toThrow(UnavailableError)
    server.resume()
    await until(isOn, Boolean)
    watched.asked()
    expect(await numbersOf(store, ['a'])).toEqual([1n, 1n])
    expect(watched.asked()).toEqual([])
    await load(raw, 2, ['a'])
    await tracking.settled()
    expect(await numbersOf(store, ['a'])).toEqual([2n, 2n])
  })

  test('a connection that stays silent is given up for another one', async () => {
    const { server, raw, store, isOn } = await open()
    const id = () => server.look((client) => client.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
    const before = /id=(\d+)/.exec(String(await id()))?.[1]
    await numbersOf(store, ['a'])
    server.pause()
    await sleep(6_000)
    server.resume()
    await until(isOn, Boolean)
    expect(/id=(\d+)/.exec(String(await id()))?.[1]).not.toBe(before)
    await load(raw, 2, ['a'])
    await until(
      () => numbersOf(store, ['a']),
      (numbers) => numbers?.[0] === 2n,
    )
  })

  test('a Redis that is away at the start is read once it is there, and listened to', async () => {
    const server = await newServer()
    await server.kill()
    const { store } = await openTracked(server.url)
    closeLater(store)
    expect(store.counters().isOn).toBe(false)
    await expect(numbersOf(store, ['a'])).rejects.toThrow(UnavailableError)
    await server.start({ empty: true })
    await until(() => store.counters().isOn, Boolean)
    await load(store, 1, ['a'])
    await until(
      () => numbersOf(store, ['a']),
      (numbers) => numbers?.[1] === 1n,
    )
  })
})

describe('a Redis that will not be tracked says so', () => {
  afterEach(closeAll)

  const refusal = async (url: string) => {
    const tracking = trackRedis({ url, store: 'test' })
    try {
      return await tracking.started().catch((error: unknown) => error)
    } finally {
      tracking.close()
    }
  }

  test('to a user who may not, with what to allow; which is enough', async () => {
    const server = await newServer()
    const user = (...rules: string[]) =>
      server.look((client) =>
        client.call(
          'ACL',
          'SETUSER',
          'reader',
          'reset',
          'on',
          '>s3cret',
          '~test:*',
          '+mget',
          '+get',
          ...rules,
        ),
      )
    const url = server.url.replace('//', '//reader:s3cret@')
    await user()
    const error = await refusal(url)
    expect(error).toBeInstanceOf(InputError)
    const { message } = error as Error
    expect(message).toMatch(/redis:\/\/127\.0\.0\.1:\d+ does not let the reader track.*NOPERM.*ttl=500ms/)
    expect(message).not.toMatch(/s3cret/)
    const allowed = (/Allow its user (.*) \(ACL/.exec(message)?.[1] ?? '').split(/ and | /)
    expect(allowed.length).toBe(6)
    for (const left of allowed) {
      await user(...allowed.filter((one) => one !== left))
      expect(await refusal(url), left).toBeInstanceOf(InputError)
    }
    await user(...allowed)
    expect(await refusal(url)).toBe(undefined)
  })

  test('where it is a node of a cluster', async () => {
    const server = await newServer({ settings: ['--cluster-enabled', 'yes'] })
    const error = await refusal(server.url)
    expect(error).toBeInstanceOf(InputError)
    expect((error as Error).message).toMatch(/a node of a Redis Cluster.*ASOF_READER_CACHE=ttl/)
  })
})
