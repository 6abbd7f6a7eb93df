/** Registered groups and services. Each row carries a revision, so that of two registrations at once one fails. */
import type { Kysely, Selectable } from 'kysely'
import { ConflictError } from '../model/errors.ts'
import { canonicalJson } from './canonicalJson.ts'
import type { RegisteredGroup, Registry } from './registry.ts'
import { readInteger, readJson, readNullableInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type GroupMemory = Pick<
  Registry,
  'groups' | 'group' | 'registerGroup' | 'retireGroup' | 'services' | 'registerService' | 'removeService'
>

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
    retireGroup: async (id, readRevision, at) => {
      const { numUpdatedRows } = await db
        .updateTable('asof_groups')
        .set({ retired_at: at, revision: readRevision + 1 })
        .where('id', '=', id)
        .where('revision', '=', readRevision)
        .executeTakeFirst()
      refuseMoved(`feature group ${id}`, numUpdatedRows, readRevision)
    },
    services: async () => {
      const rows = await db.selectFrom('asof_services').selectAll().orderBy('name').execute()
      return rows.map(({ name, definition, revision }) => ({
        name,
        definition: readJson(definition, 'asof_services.definition'),
        revision: readInteger(revision, 'asof_services.revision'),
      }))
    },
    registerService: (name, definition, at, readRevision) =>
      registerService(db, name, definition, at, readRevision),
    removeService: async (name, readRevision) => {
      const { numDeletedRows } = await db
        .deleteFrom('asof_services')
        .where('name', '=', name)
        .where('revision', '=', readRevision)
        .executeTakeFirst()
      refuseMoved(`feature service ${name}`, numDeletedRows, readRevision)
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
    featureFingerprints: readJson(
      row.feature_fingerprints,
      'asof_groups.feature_fingerprints',
    ) as RegisteredGroup['featureFingerprints'],
    registeredAt: readInteger(row.registered_at, 'asof_groups.registered_at'),
    retiredAt: readNullableInteger(row.retired_at, 'asof_groups.retired_at'),
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
    feature_fingerprints: JSON.stringify(group.featureFingerprints),
    registered_at: group.registeredAt,
    retired_at: group.retiredAt,
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
  refuseMoved(`feature group ${group.id}`, written, readRevision)
}

async function registerService(
  db: Kysely<RegistryTables>,
  name: string,
  definition: unknown,
  at: number,
  readRevision: number,
): Promise<void> {
  const row = { definition: canonicalJson(definition), registered_at: at, revision: readRevision + 1 }
  const written =
    readRevision === 0
      ? await db
          .insertInto('asof_services')
          .values({ name, ...row })
          .onConflict((conflict) => conflict.column('name').doNothing())
          .executeTakeFirst()
          .then(({ numInsertedOrUpdatedRows }) => numInsertedOrUpdatedRows)
      : await db
          .updateTable('asof_services')
          .set(row)
          .where('name', '=', name)
          .where('revision', '=', readRevision)
          .executeTakeFirst()
          .then(({ numUpdatedRows }) => numUpdatedRows)
  refuseMoved(`feature service ${name}`, written, readRevision)
}

function refuseMoved(what: string, written: bigint | undefined, readRevision: number): void {
  if (written === 1n) return
  throw new ConflictError(
    `${what}: somebody else registered it in the meantime (revision ${readRevision} is gone). Look at what is registered now and register again.`,
    { what, readRevision },
  )
}
