/**
 * Fill (rule 6): added features go into the rows that are there. Keys, timestamps, versions, runs and all other columns
 * stay bit for bit; no row comes and none goes.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, type Table } from '../iceberg/index.ts'
import { formatInstant, InputError, type BoundGroup, type IntervalRange } from '../model/index.ts'
import { query } from '../offline/index.ts'
import { hasOwnVersions, rowsIn, versionKeys } from './publishedRows.ts'

export interface FillRequest {
  readonly table: Table
  readonly bound: BoundGroup
  readonly ranges: readonly IntervalRange[]
  /** The features that are filled in. */
  readonly fills: readonly string[]
  /** The temporary table of computed rows. */
  readonly computed: string
  /** Name of the temporary table that is made: the published rows, filled. */
  readonly into: string
  readonly localPath: (location: string) => string
}

/** @returns how many rows there are, and for how many of them nothing was computed, so that they keep null */
export async function fillRows(
  connection: DuckDBConnection,
  request: FillRequest,
): Promise<{ rows: number; unfilled: number }> {
  const { table, bound, fills, computed, into } = request
  const rows = await rowsIn({ table, ranges: request.ranges, localPath: request.localPath })
  const published = `(SELECT *, row_number() OVER () AS ${quoteIdentifier(rowColumn)} FROM ${rows})`
  const matches = versionKeys(bound).map((name) => {
    const column = quoteIdentifier(name)
    return `published.${column} IS NOT DISTINCT FROM computed.${column}`
  })
  const columns = table.schema.fields.map(({ name }) => {
    const from = fills.includes(name) ? 'computed' : 'published'
    return `${from}.${quoteIdentifier(name)} AS ${quoteIdentifier(name)}`
  })
  const target = quoteIdentifier(into)
  await query(
    connection,
    `CREATE TEMP TABLE ${target} AS SELECT ${columns.join(', ')}, computed.run_id IS NULL AS ${quoteIdentifier(unfilledColumn)}
     FROM ${published} published LEFT JOIN ${quoteIdentifier(computed)} computed ON ${matches.join(' AND ')} ${versionOf(bound)}`,
  )
  const [counts] = await query(
    connection,
    `SELECT count(*) AS rows, count(*) FILTER (WHERE ${quoteIdentifier(unfilledColumn)}) AS unfilled,
       (SELECT count(*) FROM ${rows}) AS published FROM ${target}`,
  )
  refuseMultiplied(request, Number(counts?.['rows']), Number(counts?.['published']))
  return { rows: Number(counts?.['rows']), unfilled: Number(counts?.['unfilled']) }
}

/** Names of features have no blanks. */
const unfilledColumn = 'was not computed'
const rowColumn = 'published row'

/**
 * A query that brings its own created timestamps may have several versions of one event: each row takes the last one that
 * was made before it was known. Two of one moment are two rows for one, and refused.
 */
function versionOf(bound: BoundGroup): string {
  if (!hasOwnVersions(bound)) return ''
  return `AND (computed.created_timestamp <= published.created_timestamp
      OR computed.created_timestamp IS NULL AND published.created_timestamp IS NULL)
    QUALIFY rank() OVER (PARTITION BY published.${quoteIdentifier(rowColumn)} ORDER BY computed.created_timestamp DESC NULLS LAST) = 1`
}

function refuseMultiplied({ bound, fills, ranges }: FillRequest, rows: number, published: number): void {
  if (rows === published) return
  throw new InputError(
    `feature group ${bound.group.id}: ${fills.join(', ')} cannot be filled in from ${formatInstant(ranges[0]?.from ?? 0)} to ${formatInstant(ranges.at(-1)?.to ?? 0)}: ${published} rows are published there, and several computed rows stand for one of them. Give the group a new version.`,
    { group: bound.group.id },
  )
}
