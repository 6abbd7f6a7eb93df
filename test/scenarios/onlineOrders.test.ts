/**
 * The online stores converge on the published table (rule 9), whatever happens in whatever order: loads of old and new
 * snapshots, loads that break off or are overtaken, content taken back, a table made anew, a Redis that is away or loses
 * everything. What should be there is read from the table by plain SQL.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createActivities, isVerified, verifyOnline } from '../../activities/index.ts'
import { groupOf } from '../../activities/groupOf.ts'
import { ensureTable } from '../../activities/groupTable.ts'
import { loadSnapshot, type StoreLoad } from '../../activities/materializeGroup.ts'
import type { Snapshot, Table } from '../../iceberg/index.ts'
import { UnavailableError } from '../../model/index.ts'
import type { OnlineStore } from '../../online/index.ts'
import type { Store } from '../../worker/openStore.ts'
import { randomFrom, type Random } from '../offline/random.ts'
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
import { expire, replaceDays, rowsOf } from '../support/publishRows.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('online-orders')
let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis?.end())

interface World {
  readonly store: Store
  readonly random: Random
  /** Snapshots of this table and of those before it, to be loaded late. */
  readonly seen: { table: Table; snapshot: Snapshot }[]
  redisAway: boolean
  restarts: number
}

/** Runs a load. One that breaks off, or whose Redis is away or was restarted under it, may say so. */
async function attempt(world: World, online: OnlineStore, what: Partial<StoreLoad> = {}): Promise<void> {
  const { store, restarts } = world
  const { bound, table } = await groupOf(store, group)
  const snapshot = what.snapshot ?? table.snapshot(table.ref('main') ?? 0n)
  if (snapshot === null) return
  const signal = new AbortController().signal
  try {
    await loadSnapshot(store, { store: online, table, bound, full: false, signal, ...what, snapshot })
  } catch (error) {
    if (error instanceof BrokeOff) return
    const excused = world.redisAway || world.restarts !== restarts
    if (error instanceof UnavailableError && online.name === 'redis' && excused) return
    throw error
  }
}

const actions: Record<string, (world: World) => Promise<void>> = {
  async publish(world) {
    const { store, random, seen } = world
    const { table } = await groupOf(store, group)
    const on = days.filter(() => random.below(2) === 0)
    if (on.length === 0) return
    const shops = random.below(9)
    const snapshot = await replaceDays(store, table, on, relationOf(random.below(1e6), on, shops))
    seen.push({ table, snapshot })
  },
  /** Rows go, and nothing comes in their place. */
  async remove({ store, random, seen }) {
    const { table } = await groupOf(store, group)
    seen.push({ table, snapshot: await replaceDays(store, table, [random.pick(days)], null) })
  },
  /** A rollback: old content as a new commit. */
  async rollBack({ store, random, seen }) {
    const { table } = await groupOf(store, group)
    if (table.snapshots().length === 0) return
    const old = await rowsOf(store, table, random.pick(table.snapshots()))
    seen.push({ table, snapshot: await replaceDays(store, table, days, old) })
  },
  async makeAnew({ store, random }) {
    if (random.below(3) > 0) return
    const { bound } = await groupOf(store, group)
    await store.catalog.dropTable({ namespace: store.store, name: group })
    await ensureTable(store, bound)
  },
  /** Everything but `main` and half of the others. */
  async expire({ store, random }) {
    const { table } = await groupOf(store, group)
    const main = table.ref('main')
    const old = table
      .snapshots()
      .map(({ snapshotId }) => snapshotId)
      .filter((id) => id !== main && random.below(2) === 0)
    if (old.length > 0) await expire(store, table, old)
  },
  load: (world) => attempt(world, world.random.pick(world.store.onlineStores)),
  loadFully: (world) => attempt(world, world.random.pick(world.store.onlineStores), { full: true }),
  async loadOld(world) {
    if (world.seen.length > 0)
      await attempt(world, world.random.pick(world.store.onlineStores), world.random.pick(world.seen))
  },
  breakOff: (world) => attempt(world, dying(world.random.pick(world.store.onlineStores))),
  /** A load stops before its first write until more is published and loaded, and then goes on. */
  async overtake(world) {
    const online = world.random.pick(world.store.onlineStores)
    const gate = signalled()
    const late = attempt(
      world,
      through(online, async (...args) => {
        await gate.given
        return online.write(...args)
      }),
      { full: world.random.below(2) === 0 },
    )
    // It may have nothing to write, and be done.
    await new Promise((resolve) => setTimeout(resolve, 60))
    for (const next of ['emptyRedis', 'publish', 'remove', 'makeAnew', 'publish'] as const) {
      if (world.random.below(2) === 0) await actions[next]?.(world)
    }
    await attempt(world, online)
    gate.give()
    await late
  },
  async together(world) {
    const online = world.random.pick(world.store.onlineStores)
    const old = world.seen.length === 0 ? {} : world.random.pick(world.seen)
    await Promise.all([
      attempt(world, online),
      attempt(world, dying(online)),
      attempt(world, online, old),
      actions['publish']?.(world).then(() => attempt(world, online)),
    ])
  },
  async restartRedis(world) {
    world.restarts += 1
    await redis.start({ empty: false })
    await back(world)
  },
  async emptyRedis(world) {
    world.restarts += 1
    await redis.start({ empty: true })
    await back(world)
  },
  async awayRedis(world) {
    await redis.kill()
    world.redisAway = true
  },
}

async function back(world: World): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      for (const online of world.store.onlineStores) await online.listGroups()
      world.redisAway = false
      return
    } catch (error) {
      if (!(error instanceof UnavailableError) || tries === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const seed = Number(process.env['ASOF_SEED'] ?? Date.now() % 1e9)
test.each([0, 1, 2, 3])('random orders end at the published table, %i', async (number) => {
  console.log(`onlineOrders: ASOF_SEED=${seed}`)
  const random = randomFrom(seed + number)
  const store = await newStore(folder, `random-${number}`, `${redis.url}/${number}`)
  const world: World = { store, random, seen: [], redisAway: false, restarts: 0 }
  const done: string[] = []
  try {
    for (let step = 0; step < 40; step++) {
      const name = random.pick(Object.keys(actions))
      done.push(name)
      await actions[name]?.(world)
    }
    if (world.redisAway) await actions['restartRedis']?.(world)
    // A table made anew has nothing published yet, and an old one's load may have come late: the load after the next knows.
    await replaceDays(store, (await groupOf(store, group)).table, [days[0] ?? ''], null)
    for (const rounds of ['last', 'after the last']) {
      await actions['publish']?.(world)
      await createActivities(store).materializeGroup({ group })
      done.push(rounds)
    }
    const expected = await published(store)
    for (const online of store.onlineStores)
      expect(await stored(online), `${online.name}: ${done.join(', ')}`).toEqual(expected)
    for (const report of await verifyOnline(store, group)) {
      expect(report, done.join(', ')).toMatchObject({ loaded: expected.length > 0 || report.loaded })
      expect([isVerified(report), report.behind, report.entities]).toEqual([true, false, expected.length])
    }
  } finally {
    if (world.redisAway) await redis.start()
    await store.close()
  }
})
