/**
 * Which published row an entity is served (rules 4 and 9): of its rows whose created timestamp is not null the one
 * with the greatest event timestamp, then the greatest created timestamp, then the greatest run id.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import {
  planScan,
  quoteIdentifier,
  readDataFiles,
  rowPlaceBits,
  type DataFile,
  type Snapshot,
  type Table,
} from '../iceberg/index.ts'
import type { BoundGroup } from '../model/index.ts'
import { query } from '../offline/index.ts'

export interface WinnersRequest {
  readonly table: Table
  readonly bound: BoundGroup
  readonly snapshot: Snapshot
  /** The snapshot of the store's last complete load, or null to look at every entity. */
  readonly since: Snapshot | null
  /** Snapshots of loads that wrote beyond `since` and have no end: what they touched is touched too. */
  readonly unfinished?: readonly Snapshot[]
  readonly localPath: (location: string) => string
  /** Name of the temporary table that is made. */
  readonly into: string
}

/**
 * Makes a temporary table with one row per touched entity, about in the order in which stores keep their keys: its keys,
 * the `event_timestamp` of its served row and its features. `event_timestamp` is null where the entity has no row any more.
 *
 * First only the places of the served rows are found, then those rows are read, from the files that have one. Floats pass
 * through no comparison on the way, so they keep their bits (rule 12). Memory is bounded by the number of touched entities.
 *
 * @returns how many entities are touched
 */
export async function selectWinners(connection: DuckDBConnection, request: WinnersRequest): Promise<number> {
  const { table, bound, snapshot, since, into } = request
  const { files } = await planScan(table, { snapshotId: snapshot.snapshotId })
  const bases = [...(since === null ? [] : [since]), ...(request.unfinished ?? [])]
  const touched = since === null ? null : await touchedFiles(table, bases, files)
  const places = quoteIdentifier(`${into}_places`)
  await query(
    connection,
    `CREATE TEMP TABLE ${places} AS ${placesSql(request, [...files.entries()], touched)}`,
  )
  const numbers = await query(
    connection,
    `SELECT DISTINCT ${place} >> ${rowPlaceBits} AS number FROM ${places} WHERE ${place} IS NOT NULL`,
  )
  const withWinners = new Set(numbers.map(({ number }) => Number(number)))
  const read = [...files.entries()].filter(([number]) => withWinners.has(number))
  const keys = bound.keys.map(({ name }) => quoteIdentifier(name))
  const columns = ['event_timestamp', ...bound.features.map(({ name }) => quoteIdentifier(name))]
  await query(
    connection,
    `CREATE TEMP TABLE ${quoteIdentifier(into)} AS FROM (
       SELECT ${[...keys, ...columns].join(', ')} FROM ${placedRows(request, read)} SEMI JOIN ${places} USING (${place})
       ${touched === null ? '' : `UNION ALL BY NAME SELECT ${keys.join(', ')} FROM ${places} WHERE ${place} IS NULL`}
     ) ORDER BY ${keys.map((key) => `CAST(${key} AS VARCHAR)`).join(', ')}`,
  )
  const [count] = await query(connection, `SELECT count(*) AS entities FROM ${places}`)
  await query(connection, `DROP TABLE ${places}`)
  return Number(count?.['entities'])
}

/** Names of a table's columns have no blanks. */
const placeColumn = 'row place'
const place = quoteIdentifier(placeColumn)

/**
 * The place of the row that each entity is served. Where only touched ones are asked for, their keys stand with it, and
 * the place is null where there is no such row.
 */
function placesSql(
  request: WinnersRequest,
  files: readonly NumberedFile[],
  touched: readonly DataFile[] | null,
): string {
  const { table, bound, localPath } = request
  const keys = bound.keys.map(({ name }) => quoteIdentifier(name)).join(', ')
  const best = `arg_max(${place}, (event_timestamp, created_timestamp, run_id)) AS ${place}`
  const rows = placedRows(request, files)
  const known = `WHERE created_timestamp IS NOT NULL GROUP BY ${keys}`
  if (touched === null) return `SELECT ${best} FROM ${rows} ${known}`
  const columns = bound.keys.map(({ name }) => name)
  return `WITH touched AS MATERIALIZED (SELECT DISTINCT ${keys} FROM ${readDataFiles({ schema: table.schema, files: touched, localPath, columns })})
    SELECT ${keys}, ${place} FROM touched LEFT JOIN (
      SELECT ${keys}, ${best} FROM ${rows} SEMI JOIN touched USING (${keys}) ${known}
    ) USING (${keys})`
}

type NumberedFile = readonly [number: number, file: DataFile]

function placedRows({ table, localPath }: WinnersRequest, files: readonly NumberedFile[]): string {
  return readDataFiles({
    schema: table.schema,
    files: files.map(([, file]) => file),
    localPath,
    rowPlace: { column: placeColumn, fileNumbers: files.map(([number]) => number) },
  })
}

/** Files that came or went since any of the snapshots: whoever has a row in one of them is touched. */
async function touchedFiles(
  table: Table,
  since: readonly Snapshot[],
  now: readonly DataFile[],
): Promise<DataFile[]> {
  const touched = new Map<string, DataFile>()
  for (const { snapshotId } of since) {
    const before = (await planScan(table, { snapshotId })).files
    for (const file of [...without(before, now), ...without(now, before)]) touched.set(file.filePath, file)
  }
  return [...touched.values()]
}

/** Files of one snapshot that another one does not have. */
export function without(files: readonly DataFile[], others: readonly DataFile[]): DataFile[] {
  const paths = new Set(others.map(({ filePath }) => filePath))
  return files.filter(({ filePath }) => !paths.has(filePath))
}
