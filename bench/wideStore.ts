/** Stores of groups that nothing computes: their rows are written straight into their tables. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, planRegistration } from '../activities/index.ts'
import { planScan, writeDataFiles } from '../iceberg/index.ts'
import { query, withConnection } from '../offline/index.ts'
import { readConfig } from '../worker/config.ts'
import { openStore, type Store } from '../worker/openStore.ts'
import { duckdbLimits, type Bench } from './subject.ts'

interface BenchStore {
  readonly definitions: string
  readonly environment: Readonly<Record<string, string>>
}

export const wideGroup = 'wide_v1'
export const wideFeatures = Array.from({ length: 10 }, (_, at) => `f${at}`)

/** A store of the wide group, ten doubles of a user. */
export const openWideStore = (
  bench: Pick<Bench, 'duckdb'>,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
) => openBenchStore(bench, folder, { definitions: 'wide.ts', environment })

/** Makes a store in a folder and registers the groups of a file in `definitions/`. Their source has one row, for its types. */
export async function openBenchStore(
  { duckdb }: Pick<Bench, 'duckdb'>,
  folder: string,
  { definitions, environment: more }: BenchStore,
): Promise<{ store: Store; environment: Record<string, string> }> {
  const source = join(folder, 'source.parquet')
  const features = wideFeatures.map((name) => `0.5 AS ${name}`)
  await withConnection(duckdb, (connection) =>
    query(
      connection,
      `COPY (SELECT 'nobody' AS id, 0::BIGINT AS place, TIMESTAMPTZ '2024-01-01 00:00:00Z' AS at, ${features.join(', ')}) TO '${source}' (FORMAT parquet)`,
    ),
  )
  const environment = {
    ASOF_HOME: join(folder, 'home'),
    ASOF_FEATURES: fileURLToPath(new URL(`definitions/${definitions}`, import.meta.url)),
    ASOF_MEMORY_LIMIT: duckdbLimits.memoryLimit,
    ASOF_THREADS: String(duckdbLimits.threads),
    WIDE_PATH: source,
    ...more,
  }
  const store = await openStore(readConfig(environment, folder))
  await applyRegistration(store, await planRegistration(store))
  return { store, environment }
}

/** Appends the rows of a SELECT in parentheses to a group's table, sorted by `id`. Returns the paths of the table's data files. */
export async function publishRows(store: Store, group: string, relation: string): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const { schema, spec } = table
  const localPath = (location: string) => store.fileIO.localPath(location)
  const files = await withConnection(store.duckdb, (connection) =>
    writeDataFiles(connection, {
      ...{ schema, spec, relation, localPath },
      orderBy: ['id', 'event_timestamp'],
      directory: `${table.location}/data/bench`,
    }),
  )
  await table.append({ ref: 'main', files })
  return (await planScan(table)).files.map(({ filePath }) => localPath(filePath))
}

/** Ten doubles of the entity `n`, with all their digits. */
export const doublesOf = (n: string) =>
  wideFeatures.map((name, at) => `CAST(hash(${n}, ${at}) AS DOUBLE) / 1e15 - 9000 AS ${name}`)

/** The key of the entity `n`: sixteen hex digits. */
export const idOf = (n: string) => `left(md5(CAST(${n} AS VARCHAR)), 16)`

/** So many rows of one instant in the wide group's table. Returns the paths of its data files. */
export const publishWideRows = (store: Store, entities: number): Promise<string[]> =>
  publishRows(
    store,
    wideGroup,
    `(SELECT ${idOf('n')} AS id, TIMESTAMPTZ '2024-01-02 00:00:00Z' AS event_timestamp,
      TIMESTAMPTZ '2024-01-02 00:00:00Z' AS created_timestamp, 'bench' AS run_id, ${doublesOf('n').join(', ')}
      FROM range(${entities}) AS numbers(n))`,
  )
