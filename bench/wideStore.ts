/** A store of the wide group, ten doubles of a user, whose rows are written straight into its table. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, planRegistration } from '../activities/index.ts'
import { query } from '../offline/index.ts'
import { readConfig } from '../worker/config.ts'
import { openStore, type Store } from '../worker/openStore.ts'
import { duckdbLimits, type Bench } from './subject.ts'

export const wideGroup = 'wide_v1'
export const wideFeatures = Array.from({ length: 10 }, (_, at) => `f${at}`)

/** Makes the store in a folder and registers the group. Its source has one row, for its types. */
export async function openWideStore(
  { duckdb }: Pick<Bench, 'duckdb'>,
  folder: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ store: Store; environment: Record<string, string> }> {
  const source = join(folder, 'users.parquet')
  const connection = await duckdb.connect()
  const features = wideFeatures.map((name) => `0.5 AS ${name}`)
  await query(
    connection,
    `COPY (SELECT 'nobody' AS id, TIMESTAMPTZ '2024-01-01 00:00:00Z' AS at, ${features.join(', ')}) TO '${source}' (FORMAT parquet)`,
  )
  connection.closeSync()
  const environment = {
    ASOF_HOME: join(folder, 'home'),
    ASOF_FEATURES: fileURLToPath(new URL('definitions/wide.ts', import.meta.url)),
    ASOF_MEMORY_LIMIT: duckdbLimits.memoryLimit,
    ASOF_THREADS: String(duckdbLimits.threads),
    WIDE_PATH: source,
    ...more,
  }
  const store = await openStore(readConfig(environment, folder))
  await applyRegistration(store, await planRegistration(store))
  return { store, environment }
}
