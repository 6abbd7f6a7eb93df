/** The store's clock: one offset against the machine's, written once (rule 11). */
import type { Kysely } from 'kysely'
import type { Registry } from './registry.ts'
import { readInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

const storeName = 'store'

export function clockMemory(db: Kysely<RegistryTables>): Pick<Registry, 'clockOffsetMs' | 'initialiseClock'> {
  const readOffset = async (): Promise<number | null> => {
    const row = await db.selectFrom('asof_store').select('clock_offset_ms').executeTakeFirst()
    return row ? readInteger(row.clock_offset_ms, 'asof_store.clock_offset_ms') : null
  }
  return {
    clockOffsetMs: async () => (await readOffset()) ?? 0,
    initialiseClock: async (offsetMs) => {
      await db
        .insertInto('asof_store')
        .values({ name: storeName, clock_offset_ms: offsetMs })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      return (await readOffset()) ?? offsetMs
    },
  }
}
