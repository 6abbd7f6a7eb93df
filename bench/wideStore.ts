/** Stores of groups that nothing computes: their rows are written straight into their tables. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, planRegistration } from '../activities/index.ts'
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
