/** What a file of a training set holds: its rows, their digests block by block, and a summary of each column. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/index.ts'
import { blockDigests, query, withConnection, type DuckDb } from '../../offline/index.ts'
import type { ActivityDeps } from '../deps.ts'
import type { ColumnSummary, PartFile } from './trainingPlan.ts'

export type PartContent = Pick<PartFile, 'rows' | 'columns' | 'digests'>

/** Reads a Parquet file as it lies there. */
export async function contentOf({ duckdb, fileIO }: ActivityDeps, location: string): Promise<PartContent> {
  const path = fileIO.localPath(location)
  const [counted] = await withConnection(duckdb, (connection) =>
    query(connection, `SELECT count(*) AS rows FROM ${fileSql(path)}`),
  )
  const rows = Number(counted?.['rows'])
  return { rows, ...(await whatIsIn(duckdb, path, rows)) }
}

const fileSql = (path: string) => `read_parquet(${quoteLiteral(path)})`

/** Digests are made in JavaScript and summaries in DuckDB, both at the same time. */
export function whatIsIn(
  duckdb: DuckDb,
  path: string,
  rows: number,
): Promise<Pick<PartFile, 'digests' | 'columns'>> {
  return withConnection(duckdb, async (connection) => {
    const described = await query(connection, `DESCRIBE SELECT * FROM ${fileSql(path)}`)
    const columns = described.map(({ column_name, column_type }) => ({
      name: String(column_name),
      type: String(column_type),
    }))
    const [digests, summary] = await Promise.allSettled([
      blockDigests(duckdb, path, columns, rows),
      summaries(connection, path, columns, rows),
    ])
    if (digests.status === 'rejected') throw digests.reason
    if (summary.status === 'rejected') throw summary.reason
    return { digests: digests.value, columns: summary.value }
  })
}

const scalars = /^(DOUBLE|FLOAT|BIGINT|INTEGER|SMALLINT|TINYINT|BOOLEAN|VARCHAR|DATE|TIMESTAMP.*|DECIMAL.*)$/
const floats = /^(DOUBLE|FLOAT)$/

async function summaries(
  connection: DuckDBConnection,
  path: string,
  columns: readonly { name: string; type: string }[],
  rows: number,
): Promise<ColumnSummary[]> {
  const figures = columns.flatMap(({ name, type }, at) => {
    const column = quoteIdentifier(name)
    return scalars.test(type)
      ? [`count(${column}) AS n${at}`, ...bounds(`min(${column})`, `max(${column})`, at)]
      : [`count(${column}) AS n${at}`]
  })
  const [row = {}] = await query(connection, `SELECT ${figures.join(', ')} FROM ${fileSql(path)}`)
  // NaN is the greatest of doubles. A filter on every column would take twice the time, so those alone that have one get it.
  const withNaN = columns.flatMap(({ name, type }, at) => {
    if (!floats.test(type) || row[`greatest${at}`] !== 'nan') return []
    const [column, filter] = [quoteIdentifier(name), `FILTER (NOT isnan(${quoteIdentifier(name)}))`]
    return bounds(`min(${column}) ${filter}`, `max(${column}) ${filter}`, at)
  })
  const [numbers = {}] =
    withNaN.length === 0 ? [] : await query(connection, `SELECT ${withNaN.join(', ')} FROM ${fileSql(path)}`)
  const found = { ...row, ...numbers }
  const text = (value: unknown) => (typeof value === 'string' ? value : null)
  return columns.map(({ name, type }, at) => ({
    ...{ name, type, nulls: rows - Number(found[`n${at}`]) },
    min: text(found[`least${at}`]),
    max: text(found[`greatest${at}`]),
  }))
}

const bounds = (least: string, greatest: string, at: number) => [
  `CAST(${least} AS VARCHAR) AS least${at}`,
  `CAST(${greatest} AS VARCHAR) AS greatest${at}`,
]
