/** Redis, the real server: the conformance suite, and what is its own: losing the server, its data, or the way to it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { InputError, UnavailableError } from '../../model/index.ts'
import { openRedis } from '../../online/redis.ts'
import { readGroup } from '../../online/readGroup.ts'
import { slotsOf, valuesName, type Slot } from '../../online/slotId.ts'
import type { OnlineStore } from '../../online/store.ts'
import { valueSchema } from '../../online/value.ts'
import type { TestRedis } from '../support/redis.ts'
import { redisServers } from '../support/redisServers.ts'
import { cardOf, markOf, onlineStoreConformance, order, readValues, rowOf } from './conformance.ts'
import { slotCard } from './slotsConformance.ts'

const newServer = redisServers()

onlineStoreConformance('redis', async () => {
  const { url } = await newServer()
  const store = openRedis({ url, store: 'test' })
  return {
    store,
    another: () => Promise.resolve(openRedis({ url, store: 'test' })),
    cleanUp: () => store.close(),
  }
})

const group = 'a_v1'
const loadOf = (n: number) => ({ snapshotId: markOf(order(n)).snapshotId, order: order(n) })
const rows = (from: number, to: number, value: number) =>
  Array.from({ length: to - from }, (_, index) => rowOf(`k${from + index}`, value))

describe('redis', () => {
  let server: TestRedis
  let store: OnlineStore
  beforeAll(async () => {
    server = await newServer()
    store = openRedis({ url: server.url, store: 'test', timeoutMs: 1_000 })
  })
  afterAll(() => store.close())

  test('two stores in one database see nothing of each other, and keys stand as they are documented', async () => {
    const other = openRedis({ url: server.url, store: 'testa' })
    await store.write(cardOf(group), order(1), [rowOf('ATL', 1)])
    await other.write(cardOf('b_v1'), order(1), [rowOf('ATL', 2)])
    await store.finishLoad(group, markOf(order(1), 978_307_200_000))
    expect(await server.look((client) => client.get('test:a_v1:last_updated'))).toBe(
      '2001-01-01T00:00:00.000Z',
    )
    expect([await store.listGroups(), await other.listGroups()]).toEqual([['a_v1'], ['b_v1']])
    expect(await readGroup(other, group, () => [['ATL']])).toBe(null)
    const keys = await server.look((client) => client.keys('*'))
    expect(keys.sort()).toEqual([
      'test',
      'test:a_v1',
      'test:a_v1:ATL',
      'test:a_v1:last_updated',
      'testa',
      'testa:b_v1',
      'testa:b_v1:ATL',
      '{test:a_v1}',
      '{testa:b_v1}',
    ])
    await other.close()
  })

  test('a server that forgets its scripts is told them again', async () => {
    await server.look((client) => client.script('FLUSH'))
    expect(await store.write(cardOf(group), order(2), rows(0, 1000, 2))).toBe(1000)
  })

  test('a database that holds something else is no store', async () => {
    await server.look((client) => client.lpush('test:list_v1', 'a'))
    await expect(store.readCard('list_v1')).rejects.toThrow(/holds something else.*database of its own/)
  })

  test('a server that is away is told of in bounded time, and found again by itself', async () => {
    await server.kill()
    const [before, at] = [Date.now(), /127\.0\.0\.1:\d+ cannot read: .*ECONNREFUSED.*ASOF_ONLINE/]
    await expect(store.readCard(group)).rejects.toThrow(UnavailableError)
    await expect(store.readCard(group)).rejects.toThrow(at)
    await expect(store.write(cardOf(group), order(3), [])).rejects.toThrow(UnavailableError)
    const late = openRedis({ url: server.url, store: 'test', timeoutMs: 1_000 })
    await expect(late.listGroups()).rejects.toThrow(at)
    expect(Date.now() - before).toBeLessThan(4_000)
    await server.start()
    await untilAnswers(store)
    expect((await readValues(store, group, [['k7']]))[0]?.values).toEqual([2n])
    expect(await late.listGroups()).toContain(group)
    await late.close()
  })

  test('a server that does not answer is not waited for, and is used again when it does', async () => {
    server.pause()
    const before = Date.now()
    await expect(store.readCard(group)).rejects.toThrow(/cannot read: Command timed out/)
    expect(Date.now() - before).toBeLessThan(3_000)
    server.resume()
    expect((await store.readCard(group))?.group).toBe(group)
  })

  test('a closed store says so', async () => {
    const closed = openRedis({ url: server.url, store: 'test' })
    await closed.close()
    await closed.close()
    await expect(closed.listGroups()).rejects.toThrow(/was closed/)
  })

  test.each(['http://host', 'redis:', 'localhost:6379', 'redis://user:secret@host:port/0', 'redis://h/x'])(
    '%s is no address, and is not repeated',
    (url) => {
      const openIt = () => openRedis({ url, store: 'test' })
      expect(openIt).toThrow(InputError)
      expect(openIt).toThrow(/redis:\/\/host:6379\/0/)
      expect(openIt).not.toThrow(/secret/)
    },
  )
})

describe('records of groups', () => {
  const features = Array.from({ length: 200 }, (_, at) => ({ name: `feature${at}`, type: 'int64' as const }))
  const wide = cardOf(group, { schema: valueSchema(features) })
  const row = {
    keys: ['a'],
    eventTimestampMicros: 1n,
    values: features.map(() => 1n),
  }
  const open = async () => {
    const server = await newServer()
    const [writer, reader] = [1, 2].map(() => openRedis({ url: server.url, store: 'test' })) as [
      OnlineStore,
      OnlineStore,
    ]
    const close = () => Promise.all([writer.close(), reader.close()])
    return { server, writer, reader, close }
  }
  const sentBy = (server: TestRedis) =>
    server.look(async (client) =>
      Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))?.[1]),
    )

  test('travel once, not with every read, and again once they have changed', async () => {
    const { server, writer, reader, close } = await open()
    await writer.write(wide, order(1), [row])
    const read = () => reader.fetch([{ group, keys: () => ['a', 'b'] }])
    expect((await read())[0]?.card.complete).toBe(null)
    const before = await sentBy(server)
    for (let turn = 0; turn < 20; turn++) await read()
    // The value is 1,833 bytes, and the record more than 6,000.
    expect((await sentBy(server)) - before).toBeLessThan(20 * 3_000)
    await writer.finishLoad(group, markOf(order(1)))
    expect((await read())[0]?.card.complete).toEqual(markOf(order(1)))
    await close()
  })

  test('of before there were versions are read with every read, until a load puts one', async () => {
    const { server, writer, reader, close } = await open()
    await writer.write(wide, order(1), [row])
    const forget = () => server.look((client) => client.del(`{test:${group}}`))
    const complete = async () => (await reader.fetch([{ group, keys: () => ['a'] }]))[0]?.card.complete
    await forget()
    expect([await complete(), await complete()]).toEqual([null, null])
    await writer.finishLoad(group, markOf(order(1)))
    await forget()
    expect([await complete(), await complete()]).toEqual([markOf(order(1)), markOf(order(1))])
    await writer.finishLoad(group, markOf(order(2)))
    expect([await complete(), await complete()]).toEqual([markOf(order(2)), markOf(order(2))])
    await close()
  })

  test('of slots are looked up on their own, and what they share once for all that are asked with one list', async () => {
    const { server, writer, reader, close } = await open()
    const slots = slotsOf('model_v1', ['a_v1', 'b_v1', 'c_v1'])
    for (const slot of slots) await writer.write(slotCard(slot), order(1), rows(0, 10, 1))
    const keys = Array.from({ length: 20 }, (_, at) => `k${at}`)
    const looks = async (keysOf: () => string[]) => {
      await server.look((client) => client.config('RESETSTAT'))
      const found = await reader.fetch(slots.map(({ id }) => ({ group: id, keys: keysOf })))
      expect(found.map((one) => one?.values.filter((bytes) => bytes !== null).length)).toEqual([10, 10, 10])
      const stats = await server.look((client) => client.info('stats'))
      return Number(/keyspace_hits:(\d+)/.exec(stats)?.[1]) + Number(/keyspace_misses:(\d+)/.exec(stats)?.[1])
    }
    await looks(() => keys)
    expect(await looks(() => keys)).toBe(3 + 20)
    expect(await looks(() => [...keys])).toBe(3 + 60)
    const there = await server.look((client) => client.keys('*'))
    expect(there.filter((key) => key.includes('k7'))).toEqual([`test:${valuesName(slots[0]?.id ?? '')}:k7`])
    await close()
  })

  test('of several groups are found in one call, those that are not there as null', async () => {
    const { writer, reader, close } = await open()
    await writer.write(wide, order(1), [row])
    await writer.write(cardOf('b_v1'), order(1), [rowOf('x', 7), rowOf('y', null)])
    const keys = () => ['x', 'a', 'y']
    const ask = () =>
      reader.fetch(['b_v1', 'c_v1', group, 'b_v1', 'a:b'].map((name) => ({ group: name, keys })))
    for (let turn = 0; turn < 2; turn++) {
      const found = await ask()
      expect(found.map((one) => one?.values.map((bytes) => bytes?.length ?? null) ?? null)).toEqual([
        [40, null, 30],
        null,
        [null, expect.any(Number), null],
        [40, null, 30],
        null,
      ])
    }
    expect(await writer.drop('b_v1')).toBe(2)
    expect((await ask()).map((one) => one?.card.group ?? null)).toEqual([null, null, group, null, null])
    await close()
  })
})

describe('expiry', () => {
  const day = 864e5
  const now = Date.UTC(2001, 6, 1)
  const at = (key: string, daysAgo: number) => ({
    ...rowOf(key, 1),
    eventTimestampMicros: BigInt(now - daysAgo * day) * 1000n,
  })
  const days = (ms: number) => (ms < 0 ? null : Math.round(ms / 36e5) / 24)
  const setUp = async () => {
    const server = await newServer()
    const store = openRedis({ url: server.url, store: 'test', now: () => now })
    const left = (key: string) =>
      server.look(async (client) => days(await client.pttl(`test:${group}:${key}`)))
    const load = async (n: number, ttlMs: number | null, keys: Parameters<OnlineStore['write']>[2]) => {
      const card = cardOf(group, { ttlMs })
      const started = await store.startLoad(card, loadOf(n))
      await store.write(card, order(n), keys, started?.life)
      return {
        mustBeWhole: started?.mustBeWhole,
        end: () => store.finishLoad(group, markOf(order(n)), started?.life),
      }
    }
    return { server, store, left, load }
  }

  test('comes from the event timestamp on the clock of the store, well after the ttl, and a day from now at least', async () => {
    const { store, left, load } = await setUp()
    await load(1, 7 * day, [
      at('new', 0),
      at('old', 10),
      at('outdated', 400),
      at('later', -3),
      rowOf('gone', null),
    ])
    const found = Object.fromEntries(
      await Promise.all(
        ['new', 'old', 'outdated', 'later', 'gone'].map(async (key) => [key, await left(key)]),
      ),
    ) as unknown
    expect(found).toEqual({ new: 14, old: 4, outdated: 1, later: 17, gone: 30 })
    await store.close()
  })

  test('a ttl of hours keeps a day more, a ttl of months keeps its tombstones as long as its values', async () => {
    const { store, left, load } = await setUp()
    await load(1, day / 24, [at('new', 0)])
    expect(await left('new')).toBe(25 / 24)
    await load(2, 90 * day, [at('new', 0), rowOf('gone', null)])
    expect([await left('new'), await left('gone')]).toEqual([180, 180])
    await store.close()
  })

  test('a value that is written anew without a ttl stays for ever, and one that is there already is kept anew', async () => {
    const { store, left, load } = await setUp()
    await load(1, 7 * day, [at('a', 0), at('b', 0)])
    await load(2, null, [at('a', 0)])
    expect([await left('a'), await left('b')]).toEqual([null, 14])
    await load(2, 30 * day, [at('a', 0), at('b', 0)])
    expect([await left('a'), await left('b')]).toEqual([60, 60])
    await load(2, null, [at('a', 0), at('b', 0)])
    expect([await left('a'), await left('b')]).toEqual([null, null])
    await store.close()
  })

  test('a load after the ttl has grown must be whole, until one that was told so has ended', async () => {
    const { store, load } = await setUp()
    const first = await load(1, 7 * day, [at('a', 0)])
    expect(first.mustBeWhole).toBe(true)
    await first.end()
    const same = await load(2, 7 * day, [])
    expect(same.mustBeWhole).toBe(false)
    await same.end()
    const shorter = await load(3, 2 * day, [])
    expect(shorter.mustBeWhole).toBe(false)
    await shorter.end()
    // Breaks off, and so does the next one.
    expect((await load(4, 7 * day, [])).mustBeWhole).toBe(true)
    expect((await load(4, 7 * day, [])).mustBeWhole).toBe(true)
    const whole = await load(5, 7 * day, [])
    expect(whole.mustBeWhole).toBe(true)
    await whole.end()
    expect((await load(6, 7 * day, [])).mustBeWhole).toBe(false)
    expect((await load(7, null, [])).mustBeWhole).toBe(true)
    await store.close()
  })

  test('of values that slots share comes with that of the slot which stays longest, whoever writes last', async () => {
    const { server, store } = await setUp()
    const [a, b] = slotsOf('model_v1', ['a_v1', 'b_v1']) as [Slot, Slot]
    const put = (slot: Slot, n: number, ttlMs: number | null, row: ReturnType<typeof rowOf>) =>
      store.write(slotCard(slot, { ttlMs }), order(n), [row])
    const left = (key: string) =>
      server.look(async (client) => days(await client.pttl(`test:${valuesName(a.id)}:${key}`)))
    await put(a, 1, 7 * day, at('x', 0))
    expect(await left('x')).toBe(14)
    await put(b, 1, 30 * day, at('x', 0))
    expect(await left('x')).toBe(60)
    await put(a, 2, 7 * day, at('x', 10))
    await put(a, 3, 7 * day, rowOf('x', null))
    await put(b, 1, 20 * day, at('x', 0))
    expect(await left('x')).toBe(60)
    // A tombstone is kept for thirty days, though its neighbour goes earlier.
    await put(a, 1, 7 * day, at('y', 10))
    expect(await left('y')).toBe(4)
    await put(b, 1, day, rowOf('y', null))
    expect(await left('y')).toBe(30)
    // To be there for ever is longer than anything, and what was written last says nothing of the others.
    await put(b, 2, null, at('x', 0))
    await put(a, 4, 7 * day, at('x', 0))
    await put(a, 4, 7 * day, at('x', 0))
    expect(await left('x')).toBe(null)
    expect(await store.drop(a.id)).toBe(2)
    expect([await left('x'), await left('y')]).toEqual([null, 30])
    await store.close()
  })

  test('an entity called last_updated is one, and what is called so in Redis is none', async () => {
    const { server, store, load } = await setUp()
    const { end } = await load(1, 7 * day, [rowOf('last_updated', 5), rowOf('other', 6)])
    await end()
    expect((await readValues(store, group, [['last_updated']]))[0]?.values).toEqual([5n])
    const scanned = []
    for await (const { keys } of store.scan(group)) scanned.push(keys[0])
    expect(scanned.sort()).toEqual(['last_updated', 'other'])
    expect(await server.look((client) => client.get(`test:${group}:last_updated`))).toBe(
      '1970-01-01T00:00:01.000Z',
    )
    expect(await store.drop(group)).toBe(2)
    expect(await server.look((client) => client.dbsize())).toBe(1)
    await store.close()
  })
})

/** After a restart the client is back within its longest pause. */
async function untilAnswers(store: OnlineStore): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await store.listGroups()
      return
    } catch (error) {
      if (!(error instanceof UnavailableError) || attempt === 50) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

describe('redis with a password', () => {
  test('the right one opens it; a wrong one or none is said, without the secret', async () => {
    const password = 'p@ss:w/rd%s3cret'
    const server = await newServer({ password })
    const address = (word: string) => `redis://:${encodeURIComponent(word)}@127.0.0.1:${server.port}/1`
    const right = openRedis({ url: address(password), store: 'test' })
    await right.write(cardOf(group), order(1), [rowOf('a', 1)])
    expect(await right.listGroups()).toEqual([group])
    await right.close()
    for (const url of [address('s3cret-but-wrong'), server.url]) {
      const wrong = openRedis({ url, store: 'test', timeoutMs: 1_000 })
      const error: unknown = await wrong.listGroups().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(UnavailableError)
      const words = [String(error), JSON.stringify(error), String((error as Error).cause)].join(' ')
      expect(words).toMatch(/127\.0\.0\.1:\d+.*(WRONGPASS|NOAUTH).*credentials/)
      expect(words).not.toMatch(/s3cret/)
      await wrong.close()
    }
  })
})

describe('a redis that dies while a load writes', () => {
  test.each([
    ['comes back with its data', false],
    ['comes back empty', true],
  ])('and %s: the load fails, the mark stays true, and a retry ends right', async (_, empty) => {
    const server = await newServer()
    const store = openRedis({ url: server.url, store: 'test', timeoutMs: 1_000 })
    const load = async (n: number, from: number, count: number, between: () => Promise<void>) => {
      const started = await store.startLoad(cardOf(group), loadOf(n))
      for (let at = from; at < count; at += 2_000) {
        await store.write(cardOf(group), order(n), rows(at, Math.min(at + 2_000, count), n), started?.life)
        if (at === from) await between()
      }
      await store.finishLoad(group, markOf(order(n)), started?.life)
    }
    const all = Array.from({ length: 6_000 }, (_, index) => [`k${index}`])
    const nothing = () => Promise.resolve()
    await load(1, 0, 6_000, nothing)

    // In the middle of a call.
    const dying = load(2, 0, 6_000, () => {
      setTimeout(() => void server.kill(), 2)
      return new Promise((resolve) => setTimeout(resolve, 1))
    })
    await expect(dying.then(() => load(3, 0, 6_000, nothing))).rejects.toThrow(UnavailableError)
    await server.start({ empty })
    await untilAnswers(store)
    expect((await store.readCard(group))?.complete ?? null).toEqual(empty ? null : markOf(order(1)))

    // Between two calls, and back before anybody notices: only the end can tell.
    const unaware = load(4, 0, 6_000, async () => {
      await server.start({ empty })
      await untilAnswers(store)
    })
    await expect(unaware).rejects.toThrow(/restarted or emptied while the load ran.*Load the group again/)
    const card = await store.readCard(group)
    expect(card?.complete ?? null).toEqual(empty ? null : markOf(order(1)))
    const again = await store.startLoad(cardOf(group), loadOf(5))
    expect(again?.complete ?? null).toEqual(empty ? null : markOf(order(1)))

    await load(5, 0, 6_000, nothing)
    expect((await store.readCard(group))?.complete).toEqual(markOf(order(5)))
    const values = await readValues(store, group, all)
    expect(values.every((value) => value?.values[0] === 5n)).toBe(true)
    await store.close()
  })
})
