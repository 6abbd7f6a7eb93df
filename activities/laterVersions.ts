/**
 * Of the rows that a live run computed, those that nobody could know yet: rows that were never published, and rows that
 * late events have changed. They become later versions; what was served stays (rule 6).
 *
 * Two values are the same where they are equal to the bit, or, where fractions were added up, within 1e-9 of the sum of
 * their magnitudes (rule 8). Of what a query adds up that sum is not known; there it is 1e-9 of the greater of the two.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, type Table } from '../iceberg/index.ts'
import { rangesOf, type BoundGroup, type IntervalRange } from '../model/index.ts'
import { query, toleranceColumn } from '../offline/index.ts'
import { newestOf, rowsIn, versionKeys } from './publishedRows.ts'
import type { RunPlan } from './runFiles.ts'

export interface VersionsRequest {
  readonly table: Table
  readonly bound: BoundGroup
  readonly ranges: readonly IntervalRange[]
  readonly plan: RunPlan
  /** The temporary table of computed rows, with their tolerances. */
  readonly computed: string
  /** Name of the temporary table that is made. */
  readonly into: string
  readonly localPath: (location: string) => string
}

export interface LaterVersions {
  readonly rows: number
  /** Published rows for which nothing was computed. */
  readonly vanished: number
  /** Published intervals of which a row has changed. */
  readonly corrected: IntervalRange[]
}

/** Memory is bounded by the rows of one chunk, twice. */
export async function laterVersions(
  connection: DuckDBConnection,
  request: VersionsRequest,
): Promise<LaterVersions> {
  const { table, bound, ranges, plan, computed, localPath } = request
  const into = quoteIdentifier(request.into)
  const keys = identityOf(bound)
  const rows = await rowsIn({ table, ranges, localPath })
  const matches = keys.map((name) => {
    const column = quoteIdentifier(name)
    return `published.${column} IS NOT DISTINCT FROM computed.${column}`
  })
  const published = quoteIdentifier(`${request.into}_published`)
  await query(connection, `CREATE TEMP TABLE ${published} AS SELECT * FROM ${newestOf(rows, keys)}`)
  await query(
    connection,
    `CREATE TEMP TABLE ${into} AS SELECT computed.* FROM ${quoteIdentifier(computed)} computed
     LEFT JOIN ${published} published ON ${matches.join(' AND ')}
     WHERE published.run_id IS NULL OR NOT (${await samenessOf(connection, request)})`,
  )
  const [counts] = await query(
    connection,
    `SELECT (SELECT count(*) FROM ${into}) AS rows,
       (SELECT count(*) FROM ${published} published ANTI JOIN ${quoteIdentifier(computed)} computed ON ${matches.join(' AND ')}) AS vanished`,
  )
  return {
    rows: Number(counts?.['rows']),
    vanished: Number(counts?.['vanished']),
    corrected: await correctedIn(connection, into, plan),
  }
}

/** A query whose created timestamps stand as they are says by them which version is which. */
function identityOf(bound: BoundGroup): string[] {
  const { compute } = bound.group
  const isAsServed = compute.kind === 'query' && compute.created?.asServed === true
  return isAsServed ? [...versionKeys(bound), 'created_timestamp'] : versionKeys(bound)
}

/** SQL of whether a published and a computed row say the same. */
async function samenessOf(
  connection: DuckDBConnection,
  { bound, computed }: VersionsRequest,
): Promise<string> {
  const described = await query(connection, `DESCRIBE ${quoteIdentifier(computed)}`)
  const columns = new Set(described.map((row) => String(row['column_name'])))
  const isQuery = bound.group.compute.kind === 'query'
  const same = bound.features.map(({ name, type }) => {
    const [left, right] = [`published.${quoteIdentifier(name)}`, `computed.${quoteIdentifier(name)}`]
    const equal = `${left} IS NOT DISTINCT FROM ${right}`
    const tolerance = columns.has(toleranceColumn(name))
      ? `computed.${quoteIdentifier(toleranceColumn(name))}`
      : isQuery && (type === 'float64' || type === 'float32')
        ? `1e-9 * greatest(abs(${left}), abs(${right}))`
        : null
    return tolerance === null
      ? `(${equal})`
      : `(${equal} OR coalesce(isfinite(${left}) AND isfinite(${right}) AND isfinite(${tolerance}) AND abs(${left} - ${right}) <= ${tolerance}, false))`
  })
  // A row that was never known becomes known, whatever it says.
  const known = '(published.created_timestamp IS NULL) = (computed.created_timestamp IS NULL)'
  return [known, ...same].join(' AND ')
}

async function correctedIn(
  connection: DuckDBConnection,
  into: string,
  { reread, cadenceMs }: RunPlan,
): Promise<IntervalRange[]> {
  if (reread.length === 0) return []
  const step = cadenceMs * 1000
  const found = await query(
    connection,
    `SELECT DISTINCT us + (${step} - us % ${step}) % ${step} AS interval_end FROM (SELECT epoch_us(event_timestamp) AS us FROM ${into}) ORDER BY interval_end`,
  )
  const ends = found.map((row) => Number(row['interval_end']) / 1000)
  return rangesOf(
    ends.filter((end) => reread.some(({ from, to }) => from < end && end <= to)),
    cadenceMs,
  )
}
