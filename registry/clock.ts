/**
 * The store's clock: one offset against the machine's, made with the store and moved forward only (rule 11).
 *
 * An offset of 0 is the machine's own clock. A set clock that comes to stand exactly there keeps a millisecond, so that
 * it stays a set one.
 */
import type { Kysely } from 'kysely'
import { InputError } from '../model/errors.ts'
import type { Registry } from './registry.ts'
import { readInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

const storeName = 'store'

type ClockMemory = Pick<Registry, 'clockOffsetMs' | 'initialiseClock' | 'moveClock'>

export function clockMemory(db: Kysely<RegistryTables>): ClockMemory {
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
    moveClock: async (readOffsetMs, offsetMs) => {
      refuseToMove(readOffsetMs, offsetMs)
      const { numUpdatedRows } = await db
        .updateTable('asof_store')
        .set({ clock_offset_ms: offsetMs === 0 ? 1 : offsetMs })
        .where('name', '=', storeName)
        .where('clock_offset_ms', '=', readOffsetMs)
        .executeTakeFirst()
      return numUpdatedRows === 1n
    },
  }
}

function refuseToMove(readOffsetMs: number, offsetMs: number): void {
  if (readOffsetMs === 0) {
    throw new InputError("This store runs on the machine's clock, which nobody moves.", { offsetMs })
  }
  if (offsetMs < readOffsetMs) {
    throw new InputError(
      `The store's clock is ${readOffsetMs} ms from this machine's and would be ${offsetMs} ms from it: it moves forward, never back.`,
      { readOffsetMs, offsetMs },
    )
  }
}
