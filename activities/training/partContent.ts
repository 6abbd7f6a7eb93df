/** What a file of a training set holds: its rows, their digests block by block, and a summary of each column. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/index.ts'
import { blockDigests, columnsOf, query, withConnection, type DuckDb, type Row } from '../../offline/index.ts'
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

/**
 * Digests are made in JavaScript and bounds in DuckDB, both at the same time.
 *
 * @param known for each block the digests of its first columns, which are taken for granted
 */
export function whatIsIn(
  duckdb: DuckDb,
  path: string,
  rows: number,
  known: readonly string[] = [],
): Promise<Pick<PartFile, 'digests' | 'columns'>> {
  return withConnection(duckdb, async (connection) => {
    const described = await query(connection, `DESCRIBE SELECT * FROM ${fileSql(path)}`)
    const columns = described.map(({ column_name, column_type }) => ({
      name: String(column_name),
      type: String(column_type),
    }))
    const [hashed, looked] = await Promise.allSettled([
      blockDigests(duckdb, path, columns, rows, known),
      looksOf(connection, path, columns, columnsOf(known)),
    ])
    if (hashed.status === 'rejected') throw hashed.reason
    if (looked.status === 'rejected') throw looked.reason
    const { bounds, counts } = looked.value
    const nulls = [...counts.map((count) => rows - count), ...hashed.value.nulls]
    return {
      digests: hashed.value.digests,
      columns: columns.map((column, at) => ({
        ...column,
        nulls: nulls[at] as number,
        ...(bounds[at] as Bounds),
      })),
    }
  })
}

const scalars = /^(DOUBLE|FLOAT|BIGINT|INTEGER|SMALLINT|TINYINT|BOOLEAN|VARCHAR|DATE|TIMESTAMP.*|DECIMAL.*)$/
const floats = /^(DOUBLE|FLOAT)$/

type Bounds = Pick<ColumnSummary, 'min' | 'max'>

/**
 * Least and greatest values as DuckDB writes them; null for lists, and where there is none but NaN.
 *
 * @param counted of so many of the first columns the values that are not null are counted, too
 */
async function looksOf(
  connection: DuckDBConnection,
  path: string,
  columns: readonly { name: string; type: string }[],
  counted: number,
): Promise<{ bounds: Bounds[]; counts: number[] }> {
  const all = columns.map(({ name, type }, at) => ({ column: quoteIdentifier(name), type, at }))
  const found: Row = {}
  const look = async (figures: readonly string[]) => {
    if (figures.length === 0) return
    Object.assign(found, ...(await query(connection, `SELECT ${figures.join(', ')} FROM ${fileSql(path)}`)))
  }
  await look(all.slice(0, counted).map(({ column, at }) => `count(${column}) AS n${at}`))
  // Asked for nothing but bounds of numbers and times, DuckDB looks them up in the file's footer.
  const [texts, others] = [[], []] as [typeof all, typeof all]
  for (const one of all) if (scalars.test(one.type)) (one.type === 'VARCHAR' ? texts : others).push(one)
  await look(others.flatMap(({ column, at }) => boundsSql(`min(${column})`, `max(${column})`, at)))
  await look(texts.flatMap(({ column, at }) => boundsSql(`min(${column})`, `max(${column})`, at)))
  // NaN is the greatest of doubles. The filter takes time, so those columns alone that have one get it.
  const withNaN = others.filter(({ type, at }) => floats.test(type) && found[`greatest${at}`] === 'nan')
  await look(
    withNaN.flatMap(({ column, at }) => {
      const filter = `FILTER (NOT isnan(${column}))`
      return boundsSql(`min(${column}) ${filter}`, `max(${column}) ${filter}`, at)
    }),
  )
  const text = (value: unknown) => (typeof value === 'string' ? value : null)
  return {
    bounds: all.map(({ at }) => ({ min: text(found[`least${at}`]), max: text(found[`greatest${at}`]) })),
    counts: all.slice(0, counted).map(({ at }) => Number(found[`n${at}`])),
  }
}

const boundsSql = (least: string, greatest: string, at: number) => [
  `CAST(${least} AS VARCHAR) AS least${at}`,
  `CAST(${greatest} AS VARCHAR) AS greatest${at}`,
]
