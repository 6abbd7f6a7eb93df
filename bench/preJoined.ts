/** What it is worth to pre-join a service: the same three groups in one Redis, read as one key and as three. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createActivities } from '../activities/index.ts'
import { freePort } from '../scripts/stack.ts'
import { say } from '../scripts/output.ts'
import { ensureRedis, ensureWrk } from '../scripts/tools.mjs'
import { startRedis } from '../test/support/redis.ts'
import { measured, type Row } from './measure.ts'
import { startOwn } from './ownProcess.ts'
import { takeTurns } from './reader.ts'
import { refuseDifferentAnswers } from './sameAnswers.ts'
import { buildPackage } from './builtPackage.ts'
import { firstStranger, messagePack, servedRows, writeIds } from './servedWorld.ts'
import type { Bench, Subject } from './subject.ts'
import { openBenchStore, publishRows, wideFeatures } from './wideStore.ts'
import type { Asking } from './wrk.ts'

const row: Row = {
  what: 'read 100 entities of three groups over HTTP from Redis, pre-joined, MessagePack',
  floor: 'the same service, not pre-joined',
  goal: { atLeast: 1.2 },
}

export const preJoined: Subject = {
  rows: [row],
  async measure(bench) {
    await ensureRedis(say)
    const wrk = await ensureWrk(say)
    await buildPackage()
    const redis = await startRedis({ isPersistent: false })
    try {
      const environment = await fillStore(bench, redis.url)
      const port = await freePort()
      const reader = await startOwn('../dist/worker/reader.js', {
        environment: { ...environment, ASOF_READER_PORT: String(port) },
      })
      try {
        const ids = await writeIds(bench, 'ids.txt')
        const asking = (service: string): Asking => ({
          url: `http://127.0.0.1:${port}/online`,
          body: [`{"service":"${service}","entities":{"id":["`, '"]}}'],
          ...{ ids, entities: 100, accept: messagePack },
        })
        const [joined, apart] = [asking('joined_v1'), asking('apart_v1')]
        await refuseDifferentAnswers(joined, apart, firstStranger)
        return [measured(row, 'requests/s', await takeTurns(wrk, joined, apart))]
      } finally {
        await reader.stop()
      }
    } finally {
      await redis.end()
    }
  },
}

/** A store with all three groups, loaded into Redis by the step that runs load with. */
async function fillStore(bench: Bench, url: string): Promise<Record<string, string>> {
  const folder = join(bench.scratch, 'store')
  mkdirSync(folder)
  const { store, environment } = await openBenchStore(bench, folder, {
    definitions: 'preJoined.ts',
    environment: { ASOF_ONLINE: url },
  })
  try {
    for (const name of ['first', 'second', 'third']) {
      const features = wideFeatures.map((feature, at) => `${feature} AS ${name}_${at}`)
      const columns = ['id', 'event_timestamp', 'created_timestamp', 'run_id', ...features]
      await publishRows(store, `${name}_v1`, `(SELECT ${columns.join(', ')} FROM ${servedRows(Date.now())})`)
      await createActivities(store).materializeGroup({ group: `${name}_v1` })
    }
    const slots = await Promise.all(
      store.onlineStores.map(async (online) =>
        Promise.all((await online.listSlots()).map((slot) => online.readCard(slot))),
      ),
    )
    if (slots.flat().filter((card) => card?.complete != null).length !== 3) {
      throw new Error('The slots were not loaded: what is read would be the groups.')
    }
    return environment
  } finally {
    await store.close()
  }
}
