/** The first tables: store, groups, services, runs, the interval ledger, gate reports, overrides. */
import type { Kysely, Migration } from 'kysely'

const text = (column: string) => ({ column, type: 'text' as const })
const integer = (column: string) => ({ column, type: 'bigint' as const })
const nullable = <C extends { column: string }>(column: C) => ({ ...column, nullable: true })

const tables: Record<
  string,
  { key: string[]; columns: { column: string; type: 'text' | 'bigint'; nullable?: boolean }[] }
> = {
  asof_store: { key: ['name'], columns: [text('name'), integer('clock_offset_ms')] },
  asof_groups: {
    key: ['id'],
    columns: [
      ...['id', 'fingerprint', 'definition', 'keys', 'features'].map(text),
      ...['registered_at', 'revision'].map(integer),
    ],
  },
  asof_services: { key: ['name'], columns: [text('name'), text('definition'), integer('registered_at')] },
  asof_runs: {
    key: ['run_id'],
    columns: [
      ...['run_id', 'workflow_id', 'group_id', 'mode', 'fingerprint', 'status'].map(text),
      ...['range_from', 'range_to', 'intervals', 'started_at'].map(integer),
      ...['ended_at', 'row_count'].map(integer).map(nullable),
      ...['snapshot_id', 'reason'].map(text).map(nullable),
    ],
  },
  asof_intervals: {
    key: ['group_id', 'interval_end'],
    columns: [
      ...['group_id', 'run_id', 'fingerprint', 'snapshot_id'].map(text),
      ...['interval_end', 'sequence_number', 'published_at'].map(integer),
    ],
  },
  asof_gate_reports: { key: ['run_id'], columns: [text('run_id'), text('reports'), integer('judged_at')] },
  asof_overrides: {
    key: ['run_id', 'decided_at'],
    columns: [...['run_id', 'name', 'reason'].map(text), integer('decided_at')],
  },
}

export const first: Migration = {
  async up(db: Kysely<unknown>) {
    for (const [name, { key, columns }] of Object.entries(tables)) {
      let table = db.schema.createTable(name)
      for (const { column, type, nullable } of columns) {
        table = table.addColumn(column, type, (built) => (nullable ? built : built.notNull()))
      }
      await table.addPrimaryKeyConstraint(`${name}_key`, key as [never]).execute()
    }
    await db.schema
      .createIndex('asof_runs_by_group')
      .on('asof_runs')
      .columns(['group_id', 'started_at'])
      .execute()
  },
}
