/**
 * Opens a store: every connection of the embedded column, once, for the worker, the command line and the tests.
 *
 * Under the store's home: `store.db` (Iceberg's catalog and the registry, one SQLite file), `warehouse/` (table files),
 * `online/` (LMDB), `online-samples/` (LMDB, what readers have served), `spill/` (DuckDB). `ASOF_ONLINE` names other online stores (`onlineConfig.ts`).
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ActivityDeps } from '../activities/index.ts'
import { localFileIO, openSqlite, sqlCatalog, type CatalogTables } from '../iceberg/index.ts'
import { openDuckDb } from '../offline/index.ts'
import { openRegistry, type RegistryTables } from '../registry/index.ts'
import type { Config } from './config.ts'
import { loadDefinitions } from './definitions.ts'
import { openOnlineStore } from './openOnline.ts'
import { databasePath, warehousePath } from './paths.ts'
import { openStoreClock, type StoreClock } from './storeClock.ts'

export interface Store extends ActivityDeps {
  readonly clock: StoreClock
  close(): Promise<void>
}

export async function openStore(config: Config): Promise<Store> {
  mkdirSync(config.home, { recursive: true })
  const definitions = await loadDefinitions(config.features)
  const database = await openSqlite<CatalogTables & RegistryTables>(databasePath(config))
  const registry = await openRegistry(database)
  const clock = await openStoreClock(registry, config.setClockMs)
  const fileIO = localFileIO()
  const warehouse = `file://${warehousePath(config)}`
  const catalog = await sqlCatalog({
    name: config.store,
    db: database,
    fileIO,
    warehouse,
    now: () => clock.lastKnownNow(),
  })
  const duckdbOptions = {
    memoryLimit: config.duckdbMemoryLimit,
    threads: config.duckdbThreads,
    tempDirectory: join(config.home, 'spill'),
  }
  const duckdb = await openDuckDb(duckdbOptions)
  const onlineStores = config.onlineStores.map((one) =>
    openOnlineStore(config, one, { now: () => clock.lastKnownNow() }),
  )
  return {
    definitions,
    registry,
    catalog,
    fileIO,
    duckdb,
    onlineStores,
    now: () => clock.now(),
    store: config.store,
    trainingFolder: `file://${join(config.home, 'training')}`,
    openOrdered: () => openDuckDb({ ...duckdbOptions, keepsOrder: true }),
    environment: config.environment,
    baseFolder: config.baseFolder,
    clock,
    async close() {
      await Promise.all(onlineStores.map((online) => online.close()))
      await duckdb.close()
      await registry.close()
    },
  }
}
