/** Registered groups and services. A group's row carries a revision, so that of two registrations at once one fails. */
import type { Kysely, Selectable } from 'kysely'
import { ConflictError } from '../model/errors.ts'
import { canonicalJson } from './canonicalJson.ts'
import type { RegisteredGroup, Registry } from './registry.ts'
import { readInteger, readJson } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type GroupMemory = Pick<Registry, 'groups' | 'group' | 'registerGroup' | 'services' | 'registerService'>

export function groupMemory(db: Kysely<RegistryTables>): GroupMemory {
  return {
    groups: async () => {
      const rows = await db.selectFrom('asof_groups').selectAll().orderBy('id').execute()
      return rows.map(groupOf)
    },
    group: async (id) => {
      const row = await db.selectFrom('asof_groups').selectAll().where('id', '=', id).executeTakeFirst()
      return row ? groupOf(row) : null
    },
    registerGroup: (group, readRevision) => registerGroup(db, group, readRevision),
    services: async () => {
      const rows = await db.selectFrom('asof_services').selectAll().orderBy('name').execute()
      return rows.map(({ name, definition }) => ({
        name,
        definition: readJson(definition, 'asof_services.definition'),
      }))
    },
    registerService: async (name, definition, at) => {
      const row = { definition: canonicalJson(definition), registered_at: at }
      await db
        .insertInto('asof_services')
        .values({ name, ...row })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
        .execute()
    },
  }
}

function groupOf(row: Selectable<RegistryTables['asof_groups']>): RegisteredGroup {
  return {
    id: row.id,
    fingerprint: row.fingerprint,
    definition: readJson(row.definition, 'asof_groups.definition'),
    keys: readJson(row.keys, 'asof_groups.keys') as RegisteredGroup['keys'],
    features: readJson(row.features, 'asof_groups.features') as RegisteredGroup['features'],
    registeredAt: readInteger(row.registered_at, 'asof_groups.registered_at'),
    revision: readInteger(row.revision, 'asof_groups.revision'),
  }
}

/** One statement either way, so the decision and the write cannot come apart. */
async function registerGroup(
  db: Kysely<RegistryTables>,
  group: Omit<RegisteredGroup, 'revision'>,
  readRevision: number,
): Promise<void> {
  const row = {
    fingerprint: group.fingerprint,
    // Not canonical: the order in which features were written is for people to read.
    definition: JSON.stringify(group.definition),
    keys: JSON.stringify(group.keys),
    features: JSON.stringify(group.features),
    registered_at: group.registeredAt,
    revision: readRevision + 1,
  }
  const written =
    readRevision === 0
      ? await db
          .insertInto('asof_groups')
          .values({ id: group.id, ...row })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .executeTakeFirst()
          .then(({ numInsertedOrUpdatedRows }) => numInsertedOrUpdatedRows)
      : await db
          .updateTable('asof_groups')
          .set(row)
          .where('id', '=', group.id)
          .where('revision', '=', readRevision)
          .executeTakeFirst()
          .then(({ numUpdatedRows }) => numUpdatedRows)
  if (written !== 1n) {
    throw new ConflictError(
      `feature group ${group.id}: somebody else registered it in the meantime (revision ${readRevision} is gone). Look at what is registered now and register again.`,
      { group: group.id, readRevision },
    )
  }
}
