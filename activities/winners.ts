/**
 * Which published row an entity is served (rules 4 and 9): of its rows whose created timestamp is not null the one
 * with the greatest event timestamp, then the greatest created timestamp, then the greatest run id.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import {
  planScan,
  quoteIdentifier,
  readDataFiles,
  type DataFile,
  type Snapshot,
  type Table,
} from '../iceberg/index.ts'
import { shapeOf, type BoundGroup, type FeatureType } from '../model/index.ts'
import { duckdbTypeOf, query } from '../offline/index.ts'

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
 * Makes a temporary table with one row per touched entity: its keys and `winner`, a struct of its served row, which is
 * null where the entity has no row any more. Memory is bounded by the number of touched entities.
 */
export async function selectWinners(connection: DuckDBConnection, request: WinnersRequest): Promise<number> {
  const { table, bound, snapshot, since, localPath, into } = request
  const keys = bound.keys.map(({ name }) => quoteIdentifier(name))
  const features = bound.features.map(({ name, type }) => heldAs(quoteIdentifier(name), type))
  const now = await planScan(table, { snapshotId: snapshot.snapshotId })
  const rows = (files: readonly DataFile[]) =>
    readDataFiles({ schema: table.schema, files: [...files], localPath })
  const held = features.map(({ column, sql }) => `${column} := ${sql}`)
  const row = ['event_timestamp := event_timestamp', ...held].join(', ')
  const types = ['event_timestamp TIMESTAMPTZ', ...features.map(({ column, type }) => `${column} ${type}`)]
  const best = `arg_max(struct_pack(${row}), (event_timestamp, created_timestamp, run_id))`
  const winners = `SELECT ${keys.join(', ')}, CAST(${best} AS STRUCT(${types.join(', ')})) AS winner
    FROM ${rows(now.files)} WHERE created_timestamp IS NOT NULL GROUP BY ALL`
  const bases = [...(since === null ? [] : [since]), ...(request.unfinished ?? [])]
  const touched = since === null ? null : await touchedFiles(table, bases, now.files)
  const sql =
    touched === null
      ? winners
      : `WITH touched AS (SELECT DISTINCT ${keys.join(', ')} FROM ${rows(touched)})
         SELECT ${keys.join(', ')}, winner FROM touched LEFT JOIN (${winners}) USING (${keys.join(', ')})`
  await connection.run(`CREATE TEMP TABLE ${quoteIdentifier(into)} AS ${sql}`)
  const [count] = await query(connection, `SELECT count(*) AS entities FROM ${quoteIdentifier(into)}`)
  return Number(count?.['entities'])
}

/**
 * A feature as `arg_max` holds it without loss. It keeps a struct in a form made for sorting, in which -0 is 0 and all NaN
 * are one; floats keep their bits (rule 12), so they pass through it as bits.
 */
function heldAs(column: string, type: FeatureType): { column: string; sql: string; type: string } {
  // A table has vectors as lists.
  const whole = duckdbTypeOf(shapeOf(type).kind === 'vector' ? 'list<float32>' : type)
  const bits = whole.replace(/^(FLOAT|DOUBLE)/, 'BIT')
  return { column, sql: bits === whole ? column : `CAST(${column} AS ${bits})`, type: whole }
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
