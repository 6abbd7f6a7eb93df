/**
 * The registry in a SQL database: SQLite now. The SQL is meant for PostgreSQL too, but has not run there yet.
 *
 * @example
 * const registry = await openRegistry(await openSqlite<RegistryTables>('.asof/catalog.db'))
 */
import type { Kysely } from 'kysely'
import { unlessBusy } from './busy.ts'
import { clockMemory } from './clock.ts'
import { gateMemory } from './gateReports.ts'
import { groupMemory } from './groups.ts'
import { ledgerMemory } from './ledger.ts'
import { ledgerStateMemory } from './ledgerState.ts'
import { migrate } from './migrate.ts'
import type { Registry } from './registry.ts'
import { runMemory } from './runs.ts'
import type { RegistryTables } from './tables.ts'
import { trainingMemory } from './trainingSets.ts'

/**
 * Opens a registry and migrates its tables; several processes may do so at once.
 *
 * @param database its `close()` closes this too
 * @throws UnavailableError where another process keeps the database locked
 */
export async function openRegistry<Tables extends RegistryTables>(
  database: Kysely<Tables>,
): Promise<Registry> {
  // The registry's statements name its own tables only, whatever else the database holds.
  const db = database as unknown as Kysely<RegistryTables>
  await unlessBusy('opening', () => migrate(db))
  return eachUnlessBusy({
    ...clockMemory(db),
    ...groupMemory(db),
    ...runMemory(db),
    ...gateMemory(db),
    ...ledgerMemory(db),
    ...ledgerStateMemory(db),
    ...trainingMemory(db),
    close: () => db.destroy(),
  })
}

function eachUnlessBusy(registry: Registry): Registry {
  const methods = Object.entries(registry) as [string, (...given: unknown[]) => Promise<unknown>][]
  const translated = methods.map(([name, method]) => [
    name,
    (...given: unknown[]) => unlessBusy(name, () => method(...given)),
  ])
  return Object.fromEntries(translated) as Registry
}
