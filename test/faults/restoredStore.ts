/** A store whose history is made once, and put back at the same place before every case. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { localFileIO, openSqlite, sqlCatalog, type CatalogTables, type FileIO } from '../../iceberg/index.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { databasePath, openStore, warehousePath, type Store } from '../../worker/openStore.ts'
import { writeOrders } from '../support/orders.ts'
import { driveBackfill } from './driver.ts'
import type { CatalogParts } from './strike.ts'

export const group = 'shop_orders_v1'
/** Cuts into published days at both ends, so that files across the edges are written anew. */
export const rewrite = { group, from: '2024-01-02T05:00:00Z', to: '2024-01-03T09:00:00Z', rewrite: true }

export interface RestoredStore {
  readonly config: Config
  readonly folder: string
  /** Puts the store back to its beginning and opens it. */
  open(): Promise<OpenedStore>
}

export interface OpenedStore extends CatalogParts {
  readonly store: Store
  close(): Promise<void>
}

export const ordersFolder = (folder: string) => join(folder, 'orders')

/** Orders of three days, of which the second and third are published and loaded. */
export async function restoredStore(folder: string): Promise<RestoredStore> {
  const orders = ordersFolder(folder)
  await writeOrders(orders, ['2024-01-01', '2024-01-02', '2024-01-03'])
  const config = readConfig(
    {
      ASOF_MEMORY_LIMIT: '512MB',
      ASOF_THREADS: '1',
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-05T00:30:00Z',
    },
    folder,
  )
  const beginning = join(folder, 'beginning')
  const first = await openStore(config)
  await applyRegistration(first, await planRegistration(first))
  await driveBackfill(() => createActivities(first), { group, from: '2024-01-02', to: '2024-01-04' })
  await first.close()
  cpSync(config.home, beginning, { recursive: true })
  return {
    config,
    folder,
    async open() {
      rmSync(config.home, { recursive: true, force: true })
      cpSync(beginning, config.home, { recursive: true, preserveTimestamps: true })
      return openRestored(config)
    },
  }
}

async function openRestored(config: Config): Promise<OpenedStore> {
  const store = await openStore(config)
  const { close, ...parts } = await catalogParts(config, store.clock.offsetMs)
  return {
    store,
    ...parts,
    async close() {
      await close()
      await store.close()
    },
  }
}

/** The store's catalog once more, over whatever file store. */
export async function catalogParts(
  config: Config,
  clockOffsetMs: number,
): Promise<CatalogParts & { close(): Promise<void> }> {
  const db = await openSqlite<CatalogTables>(databasePath(config))
  const nowMs = () => Date.now() + clockOffsetMs
  let under: FileIO = localFileIO()
  // One catalog for the case; the file store under it changes with every life of the process.
  const fileIO = new Proxy({} as FileIO, { get: (_, key) => Reflect.get(under, key) as unknown })
  const warehouse = `file://${warehousePath(config)}`
  const catalog = await sqlCatalog({ name: config.store, db, fileIO, warehouse, now: nowMs })
  return {
    nowMs,
    catalogOver: (newest) => {
      under = newest
      return catalog
    },
    close: () => db.destroy(),
  }
}
