/** The world of the training benches: ten million feature rows in two stores, labels, and turns of a workflow and another. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { planScan, writeDataFiles } from '../iceberg/index.ts'
import { query } from '../offline/index.ts'
import { startTemporal } from '../test/support/temporal.ts'
import type { Store } from '../worker/openStore.ts'
import type { TrainingInput } from '../workflows/contract.ts'
import type { buildTrainingSet } from '../workflows/buildTrainingSet.ts'
import { secondsOf, type Turn } from './measure.ts'
import type { Bench } from './subject.ts'
import { openWideStore, wideFeatures, wideGroup } from './wideStore.ts'
import { startWorker } from './ownProcess.ts'

const [entities, hours] = [100_000, 100]
const turns = 3

export interface World {
  readonly temporal: TestWorkflowEnvironment
  readonly labels: string
  readonly plain: Home
  readonly corrected: Home
}

/** A store with a published table. */
export interface Home {
  readonly environment: Record<string, string>
  readonly files: readonly string[]
  readonly isCorrected: boolean
}

/** Makes a world with so many labels, and a Temporal that lives as long as it is used. */
export async function inWorld<Result>(
  bench: Bench,
  labels: number,
  use: (world: World) => Promise<Result>,
): Promise<Result> {
  const temporal = await startTemporal()
  try {
    return await use(await makeWorld(bench, temporal, labels))
  } finally {
    await temporal.teardown()
  }
}

async function makeWorld(bench: Bench, temporal: TestWorkflowEnvironment, count: number): Promise<World> {
  const connection = await bench.duckdb.connect()
  const labels = join(bench.scratch, 'labels.parquet')
  await query(
    connection,
    `COPY (SELECT left(md5(CAST(hash(n) % ${entities} AS VARCHAR)), 16) AS id,
             TIMESTAMPTZ '2024-01-01 00:00:00Z' + to_seconds(CAST(hash(n, 'at') % ${hours * 3600} AS BIGINT)) AS seen_at,
             n AS label FROM range(${count}) AS numbers(n))
     TO '${labels}' (FORMAT parquet)`,
  )
  connection.closeSync()
  const home = (name: string, isCorrected: boolean) => makeHome(bench, temporal, name, isCorrected)
  return { temporal, labels, plain: await home('plain', false), corrected: await home('corrected', true) }
}

async function makeHome(
  bench: Bench,
  temporal: TestWorkflowEnvironment,
  name: string,
  isCorrected: boolean,
): Promise<Home> {
  const folder = join(bench.scratch, name)
  mkdirSync(folder)
  const { store, environment } = await openWideStore(bench, folder, {
    ASOF_CLOCK: '2024-02-01T00:00:00Z',
    TEMPORAL_ADDRESS: temporal.address,
    UV_THREADPOOL_SIZE: '16',
  })
  try {
    return { environment, files: await publish(store, isCorrected), isCorrected }
  } finally {
    await store.close()
  }
}

/** Every hour's rows, known a quarter of an hour later; corrected ones once more, known six hours later. */
async function publish(store: Store, isCorrected: boolean): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: wideGroup })
  const connection = await store.duckdb.connect()
  const localPath = (location: string) => store.fileIO.localPath(location)
  const rows = (salt: string, lag: string, where: string) => {
    const doubles = Array.from(
      { length: 10 },
      (_, at) => `CAST(hash(n, h, ${at}, '${salt}') AS DOUBLE) / 1e15 - 9000 AS f${at}`,
    )
    const hour = `TIMESTAMPTZ '2024-01-01 00:00:00Z' + to_hours(CAST(h AS INTEGER))`
    return `(SELECT left(md5(CAST(n AS VARCHAR)), 16) AS id, ${hour} AS event_timestamp,
      ${hour} + INTERVAL '${lag}' AS created_timestamp, '${salt}' AS run_id, ${doubles.join(', ')}
      FROM range(${entities}) AS users(n), range(${hours}) AS hours(h) WHERE ${where})`
  }
  const append = async (relation: string, directory: string) => {
    const { schema, spec } = table
    const files = await writeDataFiles(connection, {
      ...{ schema, spec, relation, localPath },
      orderBy: ['id', 'event_timestamp'],
      directory: `${table.location}/data/${directory}`,
    })
    await table.append({ ref: 'main', files })
  }
  await append(rows('made', '15 minutes', 'true'), 'made')
  if (isCorrected) await append(rows('mended', '6 hours', "hash(n, h, 'late') % 100 = 0"), 'mended')
  connection.closeSync()
  return (await planScan(table)).files.map(({ filePath }) => localPath(filePath))
}

/** What a training set is held against. */
export interface Other {
  /** Writes its own to a Parquet file. @returns the seconds that it took */
  seconds(files: { labels: string; features: readonly string[]; into: string }): Promise<number>
  /** What it does differently, as a request says it. */
  readonly request?: Partial<TrainingInput>
}

export async function takeTurns(
  bench: Bench,
  { temporal, labels }: World,
  home: Home,
  other: Other,
): Promise<{ taken: Turn[]; peaks: number[] }> {
  const taken: Turn[] = []
  const peaks: number[] = []
  const byHand = join(bench.scratch, 'other.parquet')
  const taskQueue = `bench-${randomUUID()}`
  const worker = await startWorker({ ...home.environment, ASOF_TASK_QUEUE: taskQueue })
  try {
    for (let turn = -1; turn < turns; turn++) {
      const theirs = await other.seconds({ labels, features: home.files, into: byHand })
      const name = `bench_${randomUUID().slice(0, 8)}`
      const input = {
        name,
        features: [{ group: wideGroup, features: wideFeatures }],
        labels: { path: labels, time: 'seen_at' },
        ...other.request,
      }
      let manifest = ''
      const ours = await secondsOf(async () => {
        const set = await temporal.client.workflow.execute<typeof buildTrainingSet>('buildTrainingSet', {
          ...{ taskQueue, workflowId: name, args: [input] },
        })
        manifest = set.manifestPath
      })
      // The first turn, in which both are cold, does not count; its content is compared.
      if (turn < 0) await refuseDifferentSets(bench, manifest, byHand, home.isCorrected)
      else {
        taken.push({ ours, floor: theirs })
        peaks.push(worker.peakMegabytes())
      }
      rmSync(join(String(home.environment['ASOF_HOME']), 'training'), { recursive: true, force: true })
    }
  } finally {
    await worker.stop()
  }
  return { taken, peaks }
}

/** Label by label the same ten doubles; where rows were corrected, the floor is wrong of those that late rows overtook. */
async function refuseDifferentSets(
  { duckdb }: Bench,
  manifest: string,
  byHand: string,
  isCorrected: boolean,
): Promise<void> {
  const { files } = JSON.parse(readFileSync(fileURLToPath(manifest), 'utf8')) as { files: string[] }
  const ours = files.map((file) => `'${fileURLToPath(file)}'`).join(', ')
  const connection = await duckdb.connect()
  const columns = ['id', 'seen_at', ...wideFeatures]
  const differs = columns.map((name) => `ours.${name} IS DISTINCT FROM floor.${name}`).join(' OR ')
  const [found] = await query(
    connection,
    `SELECT count(*) AS labels, count(*) FILTER (${differs}) AS different
     FROM read_parquet([${ours}]) AS ours FULL JOIN read_parquet('${byHand}') AS floor USING (label)`,
  )
  connection.closeSync()
  const [labels, different] = [Number(found?.['labels']), Number(found?.['different'])]
  if (isCorrected ? different > 0 && different < labels / 10 : different === 0) return
  throw new Error(`Of ${labels} labels ${different} have other features than the floor's.`)
}
