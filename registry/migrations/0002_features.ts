/**
 * What each feature was computed as: fingerprints by feature for groups and for published intervals, and which
 * intervals had features filled into rows that were there. Groups can be retired; services get revisions.
 *
 * The features of a fingerprint stand once in a table of their own: ten years of hours share a handful of them.
 */
import type { Kysely, Migration } from 'kysely'

export const features: Migration = {
  async up(db: Kysely<unknown>) {
    const { schema } = db
    await schema
      .alterTable('asof_groups')
      .addColumn('feature_fingerprints', 'text', (column) => column.notNull().defaultTo('{}'))
      .execute()
    await schema.alterTable('asof_groups').addColumn('retired_at', 'bigint').execute()
    await schema
      .alterTable('asof_services')
      .addColumn('revision', 'bigint', (column) => column.notNull().defaultTo(1))
      .execute()
    await schema
      .alterTable('asof_intervals')
      .addColumn('computed_fingerprint', 'text', (column) => column.notNull().defaultTo(''))
      .execute()
    await schema
      .createTable('asof_feature_sets')
      .addColumn('group_id', 'text', (column) => column.notNull())
      .addColumn('fingerprint', 'text', (column) => column.notNull())
      .addColumn('features', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('asof_feature_sets_key', ['group_id', 'fingerprint'])
      .execute()
  },
}
