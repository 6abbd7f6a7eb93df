/** A store whose history is made once, and put back at the same place before every case. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { localFileIO, openSqlite, sqlCatalog, type CatalogTables, type FileIO } from '../../iceberg/index.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { databasePath, warehousePath } from '../../worker/paths.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import { writeOrders } from '../support/orders.ts'
import { driveBackfill, type Attempt, type Driven, type Patience } from './driver.ts'
import { endState, type EndState } from './endState.ts'
import type { CatalogParts } from './strike.ts'

export const group = 'shop_orders_v1'
/** Cuts into published days at both ends, so that files across the edges are written anew. */
export const rewrite = { group, from: '2024-01-02T05:00:00Z', to: '2024-01-03T09:00:00Z', rewrite: true }

/** The run that is struck, killed and given up. */
export interface DisturbedRun {
  readonly group: string
  /** The workflow that carries it out, and its input. */
  readonly workflow: string
  readonly input: object
  /** The same without Temporal. */
  drive(attempt: Attempt, patience?: Patience): Promise<Driven>
  /** What is left of it, for comparison. */
  endState(store: Store): Promise<EndState>
}

export interface RestoredStore {
  readonly config: Config
  readonly folder: string
  readonly run: DisturbedRun
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
  const first = await openStore(config)
  await applyRegistration(first, await planRegistration(first))
  await driveBackfill(() => createActivities(first), { group, from: '2024-01-02', to: '2024-01-04' })
  await first.close()
  return restorable(config, folder, {
    ...{ group, workflow: 'backfill', input: rewrite },
    drive: (attempt, patience) => driveBackfill(attempt, rewrite, patience),
    endState: (store) => endState(store, group),
  })
}

/**
 * Keeps a store that was closed as it is now.
 * @param now where its set clock stands whenever it is put back; unless given, as long after its beginning as it is
 */
export function restorable(config: Config, folder: string, run: DisturbedRun, now?: number): RestoredStore {
  const beginning = join(folder, 'beginning')
  cpSync(config.home, beginning, { recursive: true })
  return {
    ...{ config, folder, run },
    async open() {
      rmSync(config.home, { recursive: true, force: true })
      cpSync(beginning, config.home, { recursive: true, preserveTimestamps: true })
      return openRestored(config, now)
    },
  }
}

async function openRestored(config: Config, now?: number): Promise<OpenedStore> {
  const store = await openStore(config)
  if (now !== undefined) {
    await moveStoreClock(store.registry, { to: now })
    await store.clock.now()
  }
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
