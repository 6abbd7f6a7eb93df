/** Loading a million entities of ten doubles into Redis, against a bare socket, and what a worker's memory comes to then. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createActivities } from '../activities/index.ts'
import { openRedis, valueSchema } from '../online/index.ts'
import { putWinners } from '../online/redisScripts.ts'
import { say } from '../scripts/output.ts'
import { ensureTemporal } from '../scripts/tools.mjs'
import { startRedis, type TestRedis } from '../test/support/redis.ts'
import { startTemporal } from '../test/support/temporal.ts'
import type { Store } from '../worker/openStore.ts'
import type { materialize } from '../workflows/materialize.ts'
import { buildPackage } from './builtPackage.ts'
import { encodedCalls, materializeRedisFloor } from './floors/materializeRedis.ts'
import { measure, measured, type Row } from './measure.ts'
import type { Bench, Subject } from './subject.ts'
import { openWideStore, publishWideRows, wideFeatures, wideGroup } from './wideStore.ts'
import { startWorker } from './ownProcess.ts'

const entities = 1_000_000
const turns = 3

const speed: Row = {
  what: 'materialize to Redis: 1,000,000 entities of ten doubles',
  floor: "the store's script and bytes that were encoded before, written to a socket",
  goal: { atMost: 1.67 },
}

export const materializeRedis: Subject = {
  rows: [speed],
  async measure(bench) {
    const redis = await startRedis({ isPersistent: false })
    const { store } = await openWideStore(bench, bench.scratch)
    try {
      const calls = await callsOf(bench, store, await publishWideRows(store, entities))
      const ours = () => load(store, redis)
      const byHand = async () => {
        await empty(redis)
        refuseOtherCount(await materializeRedisFloor(redis.port, putWinners, calls))
      }
      await byHand()
      const expected = await contentOf(redis, store)
      await ours()
      if ((await contentOf(redis, store)) !== expected) {
        throw new Error('The load and its floor left different values.')
      }
      return [await measure({ ...speed, ours, byHand }, turns)]
    } finally {
      await store.close()
      await redis.end()
    }
  },
}

async function callsOf({ duckdb }: Bench, store: Store, files: readonly string[]): Promise<Buffer[]> {
  const connection = await duckdb.connect()
  const schema = valueSchema(wideFeatures.map((name) => ({ name, type: 'float64' })))
  const calls = await encodedCalls(connection, files, {
    sha: putWinners.sha,
    prefix: `${store.store}:${wideGroup}`,
    schemaTag: schema.tag,
  })
  connection.closeSync()
  return calls
}

const empty = (redis: TestRedis) => redis.look((client) => client.flushall())

/** The real step of a run, all of it, into an empty Redis. */
async function load(store: Store, redis: TestRedis): Promise<void> {
  await empty(redis)
  const online = openRedis({ url: redis.url, store: store.store })
  const loaded = await createActivities({ ...store, onlineStores: [online] }).materializeGroup({
    group: wideGroup,
    full: true,
  })
  await online.close()
  refuseOtherCount(loaded.entities)
}

function refuseOtherCount(written: number): void {
  if (written !== entities) throw new Error(`The load wrote ${written} of ${entities} entities.`)
}

/** A sum over all keys and values, but for their order, which is the snapshot's. */
const contentOf = (redis: TestRedis, { store }: Store): Promise<bigint> =>
  redis.look(async (client) => {
    let sum = 0n
    let cursor = '0'
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', `${store}:${wideGroup}:*`, 'COUNT', 5_000)
      const values = keys.length === 0 ? [] : await client.mgetBuffer(...keys)
      for (const [at, key] of keys.entries()) {
        if (key.endsWith(':last_updated')) continue
        const value = values[at]?.subarray(16) ?? Buffer.alloc(0)
        sum += createHash('sha256').update(key).update(value).digest().readBigUInt64BE()
      }
      cursor = next
    } while (cursor !== '0')
    return sum
  })

const mostMegabytes = 500
const memoryLimit = '100MB'
const nodeOptions = '--max-old-space-size=128 --max-semi-space-size=4'

const memory: Row = {
  what: `worker memory while it loads 1,000,000 entities into Redis, ASOF_MEMORY_LIMIT=${memoryLimit} NODE_OPTIONS=${nodeOptions}`,
  floor: '500 MB',
  goal: { below: 1 },
}

export const materializeRedisMemory: Subject = {
  rows: [memory],
  async measure(bench) {
    await ensureTemporal(say)
    await buildPackage()
    const redis = await startRedis({ isPersistent: false })
    const temporal = await startTemporal()
    try {
      const taskQueue = `bench-${randomUUID()}`
      const home = join(bench.scratch, 'memory')
      mkdirSync(home)
      const { store, environment } = await openWideStore(bench, home, {
        ASOF_ONLINE: redis.url,
        ASOF_MEMORY_LIMIT: memoryLimit,
        ASOF_TASK_QUEUE: taskQueue,
        TEMPORAL_ADDRESS: temporal.address,
        NODE_OPTIONS: nodeOptions,
      })
      await publishWideRows(store, entities)
      await store.close()
      const peaks = []
      for (let turn = 0; turn < turns; turn++) {
        await empty(redis)
        const worker = await startWorker(environment, '../dist/worker/main.js')
        try {
          const loaded = await temporal.client.workflow.execute<typeof materialize>('materialize', {
            taskQueue,
            workflowId: randomUUID(),
            args: [{ group: wideGroup }],
          })
          refuseOtherCount(loaded.entities)
          peaks.push({ ours: worker.peakMegabytes(), floor: mostMegabytes })
        } finally {
          await worker.stop()
        }
      }
      return [measured(memory, 'MB', peaks)]
    } finally {
      await temporal.teardown()
      await redis.end()
    }
  },
}
