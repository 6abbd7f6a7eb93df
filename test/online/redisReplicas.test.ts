/** Redis with two replicas to read from: the conformance suite, and replicas and a primary that go and come back. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { InputError, UnavailableError } from '../../model/index.ts'
import { openRedis } from '../../online/redis.ts'
import type { OnlineStore } from '../../online/store.ts'
import type { TestRedis } from '../support/redis.ts'
import { redisServers } from '../support/redisServers.ts'
import { cardOf, markOf, onlineStoreConformance, order, readValues, rowOf } from './conformance.ts'

interface Replicated {
  readonly url: string
  readonly primary: TestRedis
  readonly replicas: readonly TestRedis[]
}

const newServer = redisServers()

async function startReplicated(): Promise<Replicated> {
  const primary = await newServer({ settings: ['--repl-diskless-sync-delay', '0'] })
  const replicas: TestRedis[] = []
  for (let at = 0; at < 2; at++) {
    const replica = await newServer({ settings: ['--replicaof', `127.0.0.1 ${primary.port}`] })
    replicas.push(replica)
    await untilLinked(replica)
  }
  const list = replicas.map(({ port }) => `127.0.0.1:${port}`).join(';')
  return { url: `${primary.url}/0?replicas=${list}`, primary, replicas }
}

async function untilLinked(replica: TestRedis): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const information = await replica.look((client) => client.info('replication'))
    if (information.includes('master_link_status:up')) return
    await sleep(50)
  }
  throw new Error('A replica does not follow its primary.')
}

const offsetOf = (server: TestRedis, name: string) =>
  server.look(async (client) =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await client.info('replication'))?.[1]),
  )

/** Comes back when the replicas have what the primary has. */
async function untilEqual({ primary, replicas }: Replicated): Promise<void> {
  const wanted = await offsetOf(primary, 'master_repl_offset')
  for (const replica of replicas) {
    while ((await offsetOf(replica, 'slave_repl_offset')) < wanted) await sleep(2)
  }
}

/** The store, but nothing that changes it comes back before it can be read everywhere. */
function readAfterWrite(store: OnlineStore, world: Replicated): OnlineStore {
  const changing = ['write', 'startLoad', 'finishLoad', 'drop']
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      const method = member.bind(target) as (...args: unknown[]) => unknown
      if (!changing.includes(String(name))) return method
      return async (...args: unknown[]) => {
        const done = await method(...args)
        await untilEqual(world)
        return done
      }
    },
  })
}

onlineStoreConformance('redis with replicas', async () => {
  const world = await startReplicated()
  const open = () => readAfterWrite(openRedis({ url: world.url, store: 'test' }), world)
  const store = open()
  return { store, another: () => Promise.resolve(open()), cleanUp: () => store.close() }
})

/** Stands between a primary and a replica, and lets only so much through of what the primary says. */
async function startDam(port: number) {
  let open = Infinity
  let waiting: Buffer[] = []
  let replica: Socket | null = null
  const flow = () => {
    while (open > 0 && waiting[0] !== undefined) {
      const [first, ...rest] = waiting
      const drop = first.subarray(0, open)
      replica?.write(drop)
      open -= drop.length
      waiting = drop.length < first.length ? [first.subarray(drop.length), ...rest] : rest
    }
  }
  const server = createServer((socket) => {
    replica = socket
    const primary = connect(port, '127.0.0.1')
    socket.pipe(primary)
    primary.on('data', (bytes: Buffer) => {
      waiting.push(bytes)
      flow()
    })
    for (const side of [socket, primary]) side.on('error', () => undefined)
    primary.on('close', () => socket.destroy())
    socket.on('close', () => primary.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** How many bytes more may pass. */
    open(bytes: number) {
      open = bytes
      flow()
    },
    held: () => waiting.reduce((sum, { length }) => sum + length, 0),
    close() {
      server.close()
      replica?.destroy()
    },
  }
}

describe('a replica that stands still', () => {
  const group = 'a_v1'
  const entities = Array.from({ length: 40 }, (_, at) => `k${at}`)
  const rows = (value: number) => entities.map((key) => rowOf(key, value))

  test('anywhere in a load, and says that it follows, claims no newer mark than its values have', async () => {
    const primary = await newServer({ settings: ['--repl-diskless-sync-delay', '0'] })
    const dam = await startDam(primary.port)
    const replica = await newServer({ settings: ['--replicaof', `127.0.0.1 ${dam.port}`] })
    await untilLinked(replica)
    const open = () =>
      openRedis({ url: `${primary.url}/0?replicas=127.0.0.1:${replica.port}`, store: 'test' })
    const store = open()
    const load = async (n: number) => {
      const started = await store.startLoad(cardOf(group), { snapshotId: `1.${n}`, order: order(n) })
      for (const half of [rows(n).slice(0, 20), rows(n).slice(20)]) {
        await store.write(cardOf(group), order(n), half, started?.life)
      }
      await store.finishLoad(group, markOf(order(n)), started?.life)
    }
    await load(1)
    await untilEqual({ url: '', primary, replicas: [replica] })
    dam.open(0)
    await load(2)
    // All of it stands before the dam by now.
    const wanted =
      (await offsetOf(primary, 'master_repl_offset')) - (await offsetOf(replica, 'slave_repl_offset'))
    await expect.poll(dam.held).toBeGreaterThanOrEqual(wanted)

    const seen = new Set<string>()
    for (let reader = open(); ;) {
      const [found] = await reader.fetch([{ group, keys: () => entities }])
      const mark = found?.card.complete?.order.sequenceNumber ?? 0n
      const orders = (found?.values ?? []).map((value) => value?.readBigUInt64BE(8) ?? 0n)
      expect(
        orders.every((one) => one >= mark),
        `mark ${mark}, values ${orders.join()}`,
      ).toBe(true)
      seen.add(`mark ${mark}, values ${[...new Set(orders)].sort().join(' and ')}`)
      if (mark === 2n) {
        await reader.close()
        break
      }
      dam.open(97)
      // Who knows the record is asked, and who reads it for the first time.
      if (dam.held() % 2 === 0) {
        await reader.close()
        reader = open()
      }
    }
    expect([...seen]).toEqual([
      'mark 1, values 1',
      'mark 1, values 1 and 2',
      'mark 1, values 2',
      'mark 2, values 2',
    ])
    dam.close()
    await store.close()
  })

  test('because it is stopped is not waited for: the primary is read', async () => {
    const world = await startReplicated()
    const store = openRedis({ url: world.url, store: 'test', timeoutMs: 300 })
    await store.write(cardOf(group), order(1), rows(1))
    await store.finishLoad(group, markOf(order(1)))
    await untilEqual(world)
    for (const replica of world.replicas) replica.pause()
    await store.write(cardOf(group), order(2), rows(2))
    await store.finishLoad(group, markOf(order(2)))
    for (let turn = 0; turn < 4; turn++) {
      const values = await readValues(store, group, [['k0'], ['k39']])
      expect(values.map((value) => value?.values[0])).toEqual([2n, 2n])
    }
    for (const replica of world.replicas) replica.resume()
    await store.close()
  })
})

describe('replicas', () => {
  const group = 'a_v1'
  let world: Replicated
  let store: OnlineStore
  beforeAll(async () => {
    world = await startReplicated()
    store = openRedis({ url: world.url, store: 'test', timeoutMs: 1_000 })
    await store.write(cardOf(group), order(1), [rowOf('a', 1)])
    await store.finishLoad(group, markOf(order(1)))
    await untilEqual(world)
  })
  afterAll(() => store.close())

  const read = async () => (await readValues(store, group, [['a']]))[0]?.values[0] ?? null
  const times = async (count: number) => {
    const found = new Set<unknown>()
    for (let turn = 0; turn < count; turn++) found.add(await read())
    return [...found]
  }
  const readsOf = (server: TestRedis) =>
    server.look(async (client) =>
      Number(/cmdstat_mget:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0),
    )

  test('are read in turn, and the primary is not', async () => {
    await read()
    const all = [world.primary, ...world.replicas]
    const before = await Promise.all(all.map(readsOf))
    expect(await times(20)).toEqual([1n])
    const after = await Promise.all(all.map(readsOf))
    expect(after.map((calls, at) => calls - (before[at] ?? 0))).toEqual([0, 10, 10])
  })

  test('that are killed, or back and empty without their primary, are no proof of anything', async () => {
    const [one] = world.replicas
    await one?.kill()
    expect(await times(6)).toEqual([1n])
    await one?.start({ empty: true })
    expect(await times(20)).toEqual([1n])
    if (one !== undefined) await untilLinked(one)
    await one?.look((client) => client.replicaof('127.0.0.1', 1))
    await one?.look(async (client) => {
      await client.config('SET', 'replica-read-only', 'no')
      await client.flushall()
    })
    expect(await times(20)).toEqual([1n])
    // Cut off with all that there was: it still holds the group, and says itself that it follows nobody.
    await one?.start({ empty: true })
    if (one !== undefined) await untilLinked(one)
    await one?.look((client) => client.replicaof('127.0.0.1', 1))
    await store.write(cardOf(group), order(2), [rowOf('a', 2)])
    await store.finishLoad(group, markOf(order(2)))
    while ((await read()) !== 2n) await sleep(5)
    expect(await times(20)).toEqual([2n])
    await one?.start({ empty: true })
    if (one !== undefined) await untilLinked(one)
  })

  test('are read on when the primary is away, but know nothing of groups that they do not have', async () => {
    await untilEqual(world)
    await world.primary.kill()
    expect(await times(10)).toEqual([2n])
    await expect(store.fetch([{ group: 'other_v1', keys: () => [] }])).rejects.toThrow(UnavailableError)
    await expect(store.readCard(group)).rejects.toThrow(UnavailableError)
    await world.primary.start()
    for (const replica of world.replicas) await untilLinked(replica)
    expect(await times(10)).toEqual([2n])
  })

  test.each([
    'redis://h:1/0?replicas=',
    'redis://:s3cret@h:1?replicas=a',
    'redis://:s3cret@h?replicas=a:1,b:2',
  ])('%s is no address', (url) => {
    const open = () => openRedis({ url, store: 'test' })
    expect(open).toThrow(InputError)
    expect(open).not.toThrow(/s3cret/)
  })
})
