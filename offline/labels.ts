/**
 * Labels of a training set: found where they lie, checked, numbered in their order and kept with the set (rule 7).
 *
 * They are read as any source is, so their times become instants by the same rules: one without a zone is refused unless the
 * request names it, local times that do not exist are refused, and so on.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import type { KeyType } from '../model/entity.ts'
import { InputError } from '../model/errors.ts'
import type { Source } from '../model/source.ts'
import { checkTimestamps } from './checkTimes.ts'
import { classOf, fitsInt32, type Column } from './columnType.ts'
import { query } from './duckdb.ts'
import { bindSource, selectEvents, storedTable, type SourceRelation } from './source.ts'
import type { SourceFile } from './sourceFiles.ts'
import { labelsWrittenAs } from './trainingFiles.ts'

/** A label's number is its place in the kept file, from 0. DuckDB gives it, under this name. */
export const labelRow = 'file_row_number'

export interface WantedKey {
  /** Column of the labels. */
  readonly column: string
  readonly type: KeyType
  /** What looks it up, for errors: `airport_delays_v1.origin`. */
  readonly as: string
}

export interface KeptLabels {
  /** The labels' own, in their order, as they are kept. */
  readonly columns: readonly Column[]
  readonly rows: number
  /** In microseconds since the epoch; null where there are no labels. */
  readonly range: { readonly from: bigint; readonly to: bigint } | null
}

export interface LabelsToKeep {
  readonly source: Source
  readonly files: readonly SourceFile[]
  readonly keys: readonly WantedKey[]
  /** Where the kept file goes. */
  readonly path: string
}

/**
 * Writes the labels in their order to one Parquet file.
 *
 * @param connection of a DuckDB that keeps the order of rows
 * @throws InputError for null and infinite times (how many, which first), missing columns, keys of another type, times
 * without a zone
 */
export async function keepLabels(
  connection: DuckDBConnection,
  { source, files, keys, path }: LabelsToKeep,
): Promise<KeptLabels> {
  const relation = await bindSource(connection, source, files)
  checkNames(relation, keys)
  await refuseNullTimes(connection, relation)
  await checkTimestamps(connection, relation)
  const select = labelsSelect(relation, keys)
  await query(connection, `COPY (${select}) TO ${quoteLiteral(path)} (${labelsWrittenAs})`)
  const kept = await describeLabels(connection, path, source.timestamp)
  if (kept.range === null && kept.rows > 0) await refuseInfiniteTimes(connection, path, source.timestamp)
  return kept
}

/** No range of time holds them, so the other labels would be looked up in no files at all. @throws InputError */
async function refuseInfiniteTimes(connection: DuckDBConnection, path: string, time: string): Promise<void> {
  const column = quoteIdentifier(time)
  const [found] = await query(
    connection,
    `SELECT count(*) AS count, arg_min(CAST(${column} AS VARCHAR), ${labelRow}) AS value, min(${labelRow}) AS first
     FROM read_parquet(${quoteLiteral(path)}, file_row_number = true) WHERE isinf(${column})`,
  )
  const count = Number(found?.['count'])
  throw new InputError(
    `labels: ${count} ${count === 1 ? 'label has' : 'labels have'} an infinite time: column ${time} is ${String(found?.['value'])}, first in row ${String(found?.['first'])} (counted from 0). Remove them, or give them the time at which they are to be looked up.`,
    { column: time, count },
  )
}

/** What is in a file that `keepLabels` wrote. */
async function describeLabels(connection: DuckDBConnection, path: string, time: string): Promise<KeptLabels> {
  const table = `read_parquet(${quoteLiteral(path)})`
  const described = await query(connection, `DESCRIBE SELECT * FROM ${table}`)
  const at = quoteIdentifier(time)
  const [counted] = await query(
    connection,
    `SELECT count(*) AS count, epoch_us(min(${at})) AS first, epoch_us(max(${at})) AS last FROM ${table}`,
  )
  const { count, first, last } = counted ?? {}
  return {
    columns: described.map(({ column_name, column_type }) => ({
      name: String(column_name),
      type: String(column_type),
    })),
    rows: Number(count),
    range: typeof first === 'bigint' && typeof last === 'bigint' ? { from: first, to: last } : null,
  }
}

function checkNames({ source, columns }: SourceRelation, keys: readonly WantedKey[]): void {
  const names = columns.map(({ name }) => name)
  // Names of columns have no case in DuckDB.
  const taken = names.find((name) => name.toLowerCase() === labelRow)
  if (taken !== undefined) {
    throw new InputError(
      `labels: a column ${taken} cannot be kept, since DuckDB calls a row's place so. Give it another name.`,
      {
        column: taken,
      },
    )
  }
  for (const { column, as } of keys) {
    if (names.includes(column)) continue
    throw new InputError(
      `labels: there is no column ${JSON.stringify(column)}, which stands for ${as}. The columns are ${names.join(', ')}. Name the one that does: "keys": {"${column}": "…"}.`,
      { column },
    )
  }
  for (const key of keys) checkType(columns, source, key)
}

function checkType(columns: readonly Column[], { format }: Source, { column, type, as }: WantedKey): void {
  const found = columns.find(({ name }) => name === column)?.type ?? ''
  // A CSV's text is text, whatever it looks like: 007 keeps its zeros. A column of nulls alone fits every key.
  if (found === 'NULL' || (type === 'string' && (format === 'csv' || classOf(found) === 'text'))) return
  if (
    type !== 'string' &&
    classOf(found) === 'integer' &&
    (type === 'int64' || fitsInt32(found) || found === 'BIGINT')
  ) {
    return
  }
  throw new InputError(
    `labels: column ${column} is ${found}, but ${as} is ${type}. Write the labels with the key's own type${format === 'parquet' ? '' : `, or declare it: "columns": {"${column}": "${type}"}`}.`,
    { column, type: found },
  )
}

const keyTypes: Readonly<Record<KeyType, string>> = { string: 'VARCHAR', int64: 'BIGINT', int32: 'INTEGER' }

function labelsSelect(relation: SourceRelation, keys: readonly WantedKey[]): string {
  const asked = relation.columns.map(({ name, type }, at) => {
    const key = keys.find(({ column }) => column === name)
    const wanted = key === undefined ? (type === 'NULL' ? 'VARCHAR' : type) : keyTypes[key.type]
    return { name, as: `c${at}`, type: wanted }
  })
  const named = asked.map(({ name, as }) => `${as} AS ${quoteIdentifier(name)}`)
  return `SELECT ${named.join(', ')} FROM (${selectEvents(relation, asked)})`
}

/** The engine would let a label without a time see the future; it is an error that says which it is. */
async function refuseNullTimes(connection: DuckDBConnection, relation: SourceRelation): Promise<void> {
  const { timestamp } = relation.source
  const stored = storedTable(relation, [{ name: timestamp, type: 'VARCHAR' }])
  const time = quoteIdentifier(timestamp)
  const [found] = await query(
    connection,
    `SELECT count(*) AS count, min(number) AS first FROM (SELECT row_number() OVER () - 1 AS number, ${time} FROM ${stored}) WHERE ${time} IS NULL`,
  )
  const count = Number(found?.['count'] ?? 0)
  if (count === 0) return
  throw new InputError(
    `labels: ${count} ${count === 1 ? 'label has' : 'labels have'} no time: column ${timestamp} is null, first in row ${String(found?.['first'])} (counted from 0). Remove them or fill in their times.`,
    { column: timestamp, count },
  )
}
