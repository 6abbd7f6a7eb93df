/** Training sets: which there are, who builds them and what came of it; and which model was trained on which features. */
import type { Kysely, Migration } from 'kysely'

export const training: Migration = {
  async up(db: Kysely<unknown>) {
    const { schema } = db
    await schema
      .createTable('asof_training_sets')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('workflow_id', 'text', (column) => column.notNull())
      .addColumn('run_id', 'text', (column) => column.notNull())
      .addColumn('status', 'text', (column) => column.notNull())
      .addColumn('plan_path', 'text', (column) => column.notNull())
      .addColumn('manifest_path', 'text')
      .addColumn('content_hash', 'text')
      .addColumn('row_count', 'bigint')
      .addColumn('reason', 'text')
      .addColumn('started_at', 'bigint', (column) => column.notNull())
      .addColumn('ended_at', 'bigint')
      .execute()
    await schema
      .createTable('asof_feature_usage')
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('group_id', 'text', (column) => column.notNull())
      .addColumn('feature', 'text', (column) => column.notNull())
      .addColumn('training_set', 'text', (column) => column.notNull())
      .addColumn('used_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('asof_feature_usage_key', ['model', 'group_id', 'feature', 'training_set'])
      .execute()
  },
}
