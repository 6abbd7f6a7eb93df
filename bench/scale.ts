/**
 * `npm run bench:scale`: one training set of 100,000,000 labels over three groups (12,100,000 rows, twenty features), the
 * whole workflow with one worker of two threads. It says how long that took and what the worker's memory came to, and looks
 * up every ten-thousandth label again by hand. Takes about 30 GB of disk; `-- <labels>` makes it smaller.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { planScan, writeDataFiles } from '../iceberg/index.ts'
import { openDuckDb, query, withConnection, type DuckDb } from '../offline/index.ts'
import { say } from '../scripts/output.ts'
import { ensureTemporal } from '../scripts/tools.mjs'
import { startTemporal } from '../test/support/temporal.ts'
import type { Store } from '../worker/openStore.ts'
import type { buildTrainingSet } from '../workflows/buildTrainingSet.ts'
import { secondsOf } from './measure.ts'
import { openBenchStore } from './wideStore.ts'
import { startWorker } from './ownProcess.ts'

const [users, places, visitors, hours] = [100_000, 1_000, 20_000, 100]
const labelCount = Number(process.argv[2] ?? 100_000_000)
const limits = { memoryLimit: '5GB', threads: 2 }
const start = `TIMESTAMPTZ '2024-01-01 00:00:00Z'`

const idOf = (number: string) => `left(md5(CAST(${number} AS VARCHAR)), 16)`
/** Where a user mostly is. */
const placeOf = (number: string) => `CAST(hash(${number}, 'place') % ${places} AS BIGINT)`

interface ScaleGroup {
  readonly name: string
  readonly keys: Readonly<Record<string, string>>
  readonly entities: number
  readonly features: number
}

const groups: readonly ScaleGroup[] = [
  { name: 'users_v1', keys: { id: idOf('n') }, entities: users, features: 10 },
  { name: 'places_v1', keys: { place: 'n' }, entities: places, features: 5 },
  { name: 'visits_v1', keys: { id: idOf('n'), place: placeOf('n') }, entities: visitors, features: 5 },
]

const featuresOf = ({ features }: ScaleGroup) => Array.from({ length: features }, (_, at) => `f${at}`)

/** Every hour's rows, known a quarter of an hour later. */
async function publish(store: Store, group: ScaleGroup): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group.name })
  const localPath = (location: string) => store.fileIO.localPath(location)
  const hour = `${start} + to_hours(CAST(h AS INTEGER))`
  const columns = [
    ...Object.entries(group.keys).map(([name, sql]) => `${sql} AS ${name}`),
    ...[
      `${hour} AS event_timestamp`,
      `${hour} + INTERVAL '15 minutes' AS created_timestamp`,
      `'made' AS run_id`,
    ],
    ...featuresOf(group).map(
      (name) => `CAST(hash(n, h, '${group.name} ${name}') AS DOUBLE) / 1e15 AS ${name}`,
    ),
  ]
  const { schema, spec } = table
  const files = await withConnection(store.duckdb, (connection) =>
    writeDataFiles(connection, {
      ...{ schema, spec, localPath, orderBy: [...Object.keys(group.keys), 'event_timestamp'] },
      relation: `(SELECT ${columns.join(', ')} FROM range(${group.entities}) AS entities(n), range(${hours}) AS hours(h))`,
      directory: `${table.location}/data/made`,
    }),
  )
  await table.append({ ref: 'main', files })
  return (await planScan(table)).files.map(({ filePath }) => localPath(filePath))
}

const writeLabels = (duckdb: DuckDb, path: string) =>
  withConnection(duckdb, (connection) =>
    query(
      connection,
      `COPY (SELECT ${idOf('user')} AS id, ${placeOf('user')} AS place,
         ${start} + to_seconds(CAST(hash(label, 'at') % ${hours * 3600} AS BIGINT)) AS seen_at, label
         FROM (SELECT n AS label, hash(n) % ${users} AS user FROM range(${labelCount}) AS numbers(n)))
       TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
    ),
  )

/** One label in ten thousand joined by hand. @throws where the set has other values */
async function compare(duckdb: DuckDb, manifestPath: string, files: ReadonlyMap<string, string[]>) {
  const manifest = JSON.parse(readFileSync(fileURLToPath(manifestPath), 'utf8')) as { files: string[] }
  const list = (paths: readonly string[]) => `[${paths.map((path) => `'${path}'`).join(', ')}]`
  const set = `read_parquet(${list(manifest.files.map((file) => fileURLToPath(file)))})`
  const [sums, joins] = [[], []] as [string[], string[]]
  for (const group of groups) {
    const keys = Object.keys(group.keys).map((key) => `picked.${key} = ${group.name}.${key}`)
    joins.push(
      `ASOF LEFT JOIN read_parquet(${list(files.get(group.name) ?? [])}) AS ${group.name}
       ON ${keys.join(' AND ')} AND picked.seen_at >= ${group.name}.created_timestamp`,
    )
    sums.push(
      ...featuresOf(group).map(
        (name) => `count(*) FILTER (picked.${group.name}__${name} IS DISTINCT FROM ${group.name}.${name})`,
      ),
    )
  }
  const [found] = await withConnection(duckdb, (connection) =>
    query(
      connection,
      `SELECT count(*) AS looked, ${sums.join(' + ')} AS different
       FROM (SELECT * FROM ${set} WHERE label % 10000 = 0) AS picked ${joins.join(' ')}`,
    ),
  )
  const [looked, different] = [Number(found?.['looked']), Number(found?.['different'])]
  if (looked !== Math.ceil(labelCount / 10_000) || different > 0) {
    throw new Error(`Of ${looked} labels that were looked up again ${different} values are others.`)
  }
  return looked
}

const scratch = mkdtempSync(join(tmpdir(), 'asof-scale-'))
const duckdb = await openDuckDb({ ...limits, tempDirectory: join(scratch, 'spill') })
try {
  await ensureTemporal(say)
  const temporal = await startTemporal()
  try {
    mkdirSync(join(scratch, 'store'))
    const { store, environment } = await openBenchStore({ duckdb }, join(scratch, 'store'), {
      definitions: 'scale.ts',
      environment: {
        ...{ ASOF_CLOCK: '2024-02-01T00:00:00Z', TEMPORAL_ADDRESS: temporal.address },
        ...{ ASOF_MEMORY_LIMIT: limits.memoryLimit, ASOF_THREADS: String(limits.threads) },
      },
    })
    const files = new Map<string, string[]>()
    for (const group of groups) files.set(group.name, await publish(store, group))
    await store.close()
    const labels = join(scratch, 'labels.parquet')
    await writeLabels(duckdb, labels)
    say(`${labelCount} labels and three groups are there.`)
    const taskQueue = `scale-${randomUUID()}`
    const worker = await startWorker({ ...environment, ASOF_TASK_QUEUE: taskQueue })
    try {
      const input = {
        name: 'scale',
        features: groups.map((group) => ({ group: group.name, features: featuresOf(group) })),
        labels: { path: labels, time: 'seen_at' },
        fullNames: true,
      }
      let manifest = ''
      const seconds = await secondsOf(async () => {
        const set = await temporal.client.workflow.execute<typeof buildTrainingSet>('buildTrainingSet', {
          ...{ taskQueue, workflowId: 'scale', args: [input] },
        })
        manifest = set.manifestPath
      })
      const looked = await compare(duckdb, manifest, files)
      process.stdout.write(
        `scale: ${labelCount} labels over three groups in ${(seconds / 60).toFixed(1)} minutes, worker memory at most ${Math.round(worker.peakMegabytes())} MB; ${looked} labels looked up again by hand, all the same\n`,
      )
    } finally {
      await worker.stop()
    }
  } finally {
    await temporal.teardown()
  }
} finally {
  await duckdb.close()
  rmSync(scratch, { recursive: true, force: true })
}
