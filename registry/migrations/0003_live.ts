/**
 * Groups that are live: since when, when each interval's sources were last read and whether a person let it
 * through, what a waiting run holds, and of which incarnation of the table the ledger speaks.
 */
import { sql, type Kysely, type Migration } from 'kysely'

export const live: Migration = {
  async up(db: Kysely<unknown>) {
    const { schema } = db
    await schema
      .alterTable('asof_intervals')
      .addColumn('read_at', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
    await schema
      .alterTable('asof_intervals')
      .addColumn('let_through', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
    await sql`update asof_intervals set read_at = published_at`.execute(db)
    await schema.alterTable('asof_runs').addColumn('held', 'text').execute()
    await schema
      .createTable('asof_ledgers')
      .addColumn('group_id', 'text', (column) => column.primaryKey())
      .addColumn('incarnation', 'text', (column) => column.notNull())
      .addColumn('live_from', 'bigint')
      .addColumn('last_created', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('healed_up_to', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
  },
}
