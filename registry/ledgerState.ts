/** What is known of a group's ledger as a whole: its table's incarnation, since when it is live, the last created timestamp. */
import { sql, type Kysely } from 'kysely'
import { IntegrityError } from '../model/errors.ts'
import type { Registry } from './registry.ts'
import { readInteger, readNullableInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type LedgerStateMemory = Pick<
  Registry,
  'openLedger' | 'ledgerState' | 'goLive' | 'nextCreated' | 'noteHealed'
>

export function ledgerStateMemory(db: Kysely<RegistryTables>): LedgerStateMemory {
  const stateOf = async (group: string) => {
    const row = await db
      .selectFrom('asof_ledgers')
      .select(['incarnation', 'live_from', 'healed_up_to'])
      .where('group_id', '=', group)
      .executeTakeFirst()
    if (row === undefined) return null
    return {
      incarnation: row.incarnation,
      liveFrom: readNullableInteger(row.live_from, 'asof_ledgers.live_from'),
      healedUpTo: readInteger(row.healed_up_to, 'asof_ledgers.healed_up_to'),
    }
  }
  return {
    ledgerState: stateOf,
    openLedger: async (group, incarnation) => {
      const there = await stateOf(group)
      if (there?.incarnation === incarnation) return there
      await startLedger(db, group, incarnation)
      return { incarnation, liveFrom: null, healedUpTo: 0 }
    },
    goLive: async (group, end) => {
      await db
        .updateTable('asof_ledgers')
        .set({ live_from: end })
        .where('group_id', '=', group)
        .where('live_from', 'is', null)
        .execute()
      const liveFrom = (await stateOf(group))?.liveFrom
      if (liveFrom != null) return liveFrom
      throw new IntegrityError(`feature group ${group} has no ledger that could go live. Open it first.`)
    },
    noteHealed: async (group, sequenceNumber) => {
      await db
        .updateTable('asof_ledgers')
        .set({ healed_up_to: sequenceNumber })
        .where('group_id', '=', group)
        .where('healed_up_to', '<', sequenceNumber)
        .execute()
    },
    nextCreated: async (group, nowMs) => {
      const now = sql<number>`cast(${nowMs} as bigint)`
      const row = await db
        .updateTable('asof_ledgers')
        .set({
          last_created: sql`case when last_created >= ${now} then last_created + 1 else ${now} end`,
        })
        .where('group_id', '=', group)
        .returning('last_created')
        .executeTakeFirst()
      if (row !== undefined) return readInteger(row.last_created, 'asof_ledgers.last_created')
      throw new IntegrityError(`feature group ${group} has no ledger to compute for. Open it first.`)
    },
  }
}

/** The intervals of another incarnation go with it. Two at once both leave an empty ledger. */
async function startLedger(db: Kysely<RegistryTables>, group: string, incarnation: string): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const started = await transaction
      .insertInto('asof_ledgers')
      .values({ group_id: group, incarnation, live_from: null, last_created: 0, healed_up_to: 0 })
      .onConflict((conflict) =>
        conflict
          .column('group_id')
          .doUpdateSet({ incarnation, live_from: null, last_created: 0, healed_up_to: 0 })
          .where('asof_ledgers.incarnation', '<>', incarnation),
      )
      .returning('group_id')
      .executeTakeFirst()
    if (started === undefined) return
    await transaction.deleteFrom('asof_intervals').where('group_id', '=', group).execute()
  })
}
