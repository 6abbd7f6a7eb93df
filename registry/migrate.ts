/**
 * Brings the registry's tables to the newest form, also where several processes start on one database at once.
 *
 * PostgreSQL's dialect takes a lock of its own and migrates in one transaction. Kysely takes SQLite for a database of
 * one connection and does neither, so here the whole of it runs under SQLite's write lock: the one that comes second
 * waits and then finds nothing left to do, and a killed migration leaves nothing behind.
 */
import { Migrator, sql, type Kysely } from 'kysely'
import { IntegrityError } from '../model/errors.ts'
import { isBusy } from './busy.ts'
import { migrations } from './migrations/index.ts'
import type { RegistryTables } from './tables.ts'

export async function migrate(db: Kysely<RegistryTables>): Promise<void> {
  const known = await migratorOf(db).getMigrations()
  if (known.every(({ executedAt }) => executedAt !== undefined)) return refuseNewer(db)
  if (db.getExecutor().adapter.supportsTransactionalDdl) return toLatest(db)
  await db.connection().execute(async (connection) => {
    await sql`begin immediate`.execute(connection)
    try {
      await toLatest(connection)
      await sql`commit`.execute(connection)
    } catch (error) {
      await sql`rollback`.execute(connection)
      throw error
    }
  })
}

const migrationTable = 'asof_migrations'

function migratorOf(db: Kysely<RegistryTables>): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(migrations) },
    migrationTableName: migrationTable,
    migrationLockTableName: 'asof_migration_lock',
  })
}

async function toLatest(db: Kysely<RegistryTables>): Promise<void> {
  const { error } = await migratorOf(db).migrateToLatest()
  if (error === undefined) return
  if (isBusy(error)) throw error
  throw new IntegrityError(
    `registry: its tables cannot be brought to the newest form: ${error instanceof Error ? error.message : 'no reason was given'}`,
    {},
    { cause: error },
  )
}

/** A database that a newer Asof has migrated may mean other things by the same tables. */
async function refuseNewer(db: Kysely<RegistryTables>): Promise<void> {
  const rows = await sql<{ name: string }>`select name from ${sql.table(migrationTable)}`.execute(db)
  const unknown = rows.rows.map(({ name }) => name).filter((name) => !Object.hasOwn(migrations, name))
  if (unknown.length > 0) {
    throw new IntegrityError(
      `registry: the database has migrations that this version does not know (${unknown.join(', ')}): a newer version of Asof made it. Use that version.`,
      { migration: unknown[0] ?? null },
    )
  }
}
