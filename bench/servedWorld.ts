/**
 * The world of the reader's bench: 100,000 entities of ten doubles in one Redis, ours and the floor's, and a process that
 * serves either. Some values are null, some entities are older than their ttl, and some that are asked for are not there.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createActivities } from '../activities/index.ts'
import { query, withConnection } from '../offline/index.ts'
import { say } from '../scripts/output.ts'
import { freePort } from '../scripts/stack.ts'
import { ensureRedis, ensureWrk } from '../scripts/tools.mjs'
import { startRedis, type TestRedis } from '../test/support/redis.ts'
import { buildPackage } from './builtPackage.ts'
import { putFloorValues } from './floors/readerValues.ts'
import { startOwn, type OwnProcess } from './ownProcess.ts'
import type { Bench } from './subject.ts'
import { doublesOf, idOf, openBenchStore, publishRows } from './wideStore.ts'
import type { Asking } from './wrk.ts'

const entities = 100_000
/** Where in the ids those begin that are not there. */
export const firstStranger = entities
const strangers = 2_000
const hotEntities = 100
const dayMs = 86_400_000
const ttlMs = 30 * dayMs

export const servedGroup = 'served_v1'
export const json = 'application/json'
export const messagePack = 'application/msgpack'

export interface ServedWorld {
  readonly redis: TestRedis
  /** The program. */
  readonly wrk: string
  /** The Parquet that both sides were loaded from. */
  readonly files: readonly string[]
  /** One a line: first those that are there, then the strangers. */
  readonly ids: string
  /** The same of a hundred that are there. */
  readonly hotIds: string
  readonly ours: Served
  /** Ours, with what is asked kept in memory. */
  readonly cached: Served
  readonly floor: Served
}

export interface Served {
  readonly url: string
  readonly process: OwnProcess
}

/** A request of `POST /online`, to either side. */
export const askingOf = (
  { ids }: ServedWorld,
  { url }: Pick<Served, 'url'>,
  count: number,
  accept = json,
): Asking => ({
  url: `${url}/online`,
  body: ['{"service":"served_model_v1","entities":{"id":["', '"]}}'],
  ...{ ids, entities: count, accept },
})

/** Makes the world, and ends what it started when it has been used. */
export async function inServedWorld<Result>(
  bench: Pick<Bench, 'duckdb' | 'scratch'>,
  use: (world: ServedWorld) => Promise<Result>,
): Promise<Result> {
  await ensureRedis(say)
  const wrk = await ensureWrk(say)
  await buildPackage()
  const redis = await startRedis({ isPersistent: false })
  const started: OwnProcess[] = []
  const serve = async (file: string, port: number, how: Parameters<typeof startOwn>[1]): Promise<Served> => {
    const process = await startOwn(file, how)
    started.push(process)
    return { url: `http://127.0.0.1:${port}`, process }
  }
  try {
    const { environment, files } = await fillStore(bench, redis.url)
    await withConnection(bench.duckdb, (connection) => putFloorValues(connection, files, redis.url))
    const read = async (more: Record<string, string> = {}) => {
      const port = await freePort()
      const variables = { ...environment, ...more, ASOF_READER_PORT: String(port) }
      return serve('../dist/worker/reader.js', port, { environment: variables })
    }
    const port = await freePort()
    const floor = await serve('floors/reader.ts', port, { args: [redis.url, String(port), String(ttlMs)] })
    return await use({
      ...{ redis, wrk, files, floor },
      ids: await writeIds(bench, 'ids.txt'),
      hotIds: await writeIds(bench, 'hotIds.txt', hotEntities),
      ours: await read(),
      cached: await read({ ASOF_READER_CACHE: 'tracking' }),
    })
  } finally {
    await Promise.all(started.map((one) => one.stop()))
    await redis.end()
  }
}

/** A store whose table has the rows, and whose Redis was loaded from it by the step that runs load with. */
async function fillStore(
  bench: Pick<Bench, 'duckdb' | 'scratch'>,
  url: string,
): Promise<{ environment: Record<string, string>; files: readonly string[] }> {
  const folder = join(bench.scratch, 'store')
  mkdirSync(folder)
  const { store, environment } = await openBenchStore(bench, folder, {
    definitions: 'served.ts',
    environment: { ASOF_ONLINE: url },
  })
  try {
    const files = await publishRows(store, servedGroup, servedRows(Date.now()))
    const loaded = await createActivities(store).materializeGroup({ group: servedGroup, full: true })
    if (loaded.entities !== entities) {
      throw new Error(`The load wrote ${loaded.entities} of ${entities} entities.`)
    }
    return { environment, files }
  } finally {
    await store.close()
  }
}

/** Rows of ten doubles. One entity in a hundred is older than its ttl, one in fifty has a null. */
export function servedRows(nowMs: number): string {
  const instant = (agoMs: number) => `TIMESTAMPTZ '${new Date(nowMs - agoMs).toISOString()}'`
  const happened = `CASE WHEN n % 100 = 0 THEN ${instant(2 * ttlMs)} ELSE ${instant(dayMs)} END`
  return `(SELECT id, happened AS event_timestamp, happened AS created_timestamp, 'bench' AS run_id,
      * EXCLUDE (n, id, happened) REPLACE (CASE WHEN n % 50 = 1 THEN NULL ELSE f9 END AS f9)
    FROM (SELECT n, ${idOf('n')} AS id, ${happened} AS happened, ${doublesOf('n').join(', ')}
      FROM range(${entities}) AS numbers(n)))`
}

/** Ids one a line, first those that are there. @returns the file */
export async function writeIds(
  { duckdb, scratch }: Pick<Bench, 'duckdb' | 'scratch'>,
  name: string,
  count = entities + strangers,
): Promise<string> {
  const path = join(scratch, name)
  await withConnection(duckdb, (connection) =>
    query(
      connection,
      `COPY (SELECT ${idOf('n')} FROM range(${count}) AS numbers(n) ORDER BY n)
       TO '${path}' (FORMAT csv, HEADER false)`,
    ),
  )
  return path
}
