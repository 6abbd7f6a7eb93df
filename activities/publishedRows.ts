/** Published rows as relations in SQL. */
import { planScan, quoteIdentifier, readDataFiles, type Filter, type Table } from '../iceberg/index.ts'
import type { BoundGroup, IntervalRange } from '../model/index.ts'

export interface RowsIn {
  readonly table: Table
  /** The rows of these intervals; at least one range. */
  readonly ranges: readonly IntervalRange[]
  /** Of this snapshot; `main` by default. */
  readonly snapshotId?: bigint
  readonly localPath: (location: string) => string
}

/** SQL of a relation, in brackets: all versions of the rows of some intervals. */
export async function rowsIn({ table, ranges, snapshotId, localPath }: RowsIn): Promise<string> {
  const bounds = ranges.map(({ from, to }) => ({ after: BigInt(from) * 1000n, upTo: BigInt(to) * 1000n }))
  const filters = bounds.map(({ after, upTo }): Filter => ({
    op: 'and',
    filters: [
      { column: 'event_timestamp', op: 'gt', value: after },
      { column: 'event_timestamp', op: 'le', value: upTo },
    ],
  }))
  const { files, schema } = await planScan(table, {
    ...(snapshotId === undefined ? { ref: 'main' } : { snapshotId }),
    filter: { op: 'or', filters },
  })
  const within = bounds.map(
    ({ after, upTo }) =>
      `(event_timestamp > make_timestamptz(${after}) AND event_timestamp <= make_timestamptz(${upTo}))`,
  )
  return `(SELECT * FROM ${readDataFiles({ schema, files, localPath })} WHERE ${within.join(' OR ')})`
}

/**
 * SQL of the newest version of each row: what a consumer would take of it now. A query that brings its own created
 * timestamps has versions for reasons of its own, and they all count.
 */
export function newestVersions(relation: string, bound: BoundGroup): string {
  return hasOwnVersions(bound) ? relation : newestOf(relation, versionKeys(bound))
}

/** The row with the greatest created timestamp, of equal ones that of the greatest run. */
export function newestOf(relation: string, columns: readonly string[]): string {
  const by = columns.map(quoteIdentifier).join(', ')
  return `(SELECT * FROM ${relation} QUALIFY row_number() OVER (PARTITION BY ${by} ORDER BY created_timestamp DESC NULLS LAST, run_id DESC) = 1)`
}

/** What all versions of a row have in common. */
export function versionKeys({ keys }: BoundGroup): string[] {
  return [...keys.map(({ name }) => name), 'event_timestamp']
}

export function hasOwnVersions({ group: { compute } }: BoundGroup): boolean {
  return compute.kind === 'query' && compute.created !== null
}
