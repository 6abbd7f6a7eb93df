/**
 * Reads a source: what columns its files have, and SQL that yields its events.
 *
 * Parquet says its types. JSON says some and CSV none, so theirs are found by looking at every value, not at a sample: a
 * type that depends on where a sample ended would change under a group. Only the columns that are asked for are read.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { Source } from '../model/source.ts'
import type { Column } from './columnType.ts'
import { csvColumns, csvTable, jsonColumns, jsonTable } from './textFiles.ts'
import { query } from './duckdb.ts'
import { describeRange, eventTime, missingZone, type EventRange, type EventTime } from './eventTime.ts'
import { parquetColumns, parquetTable } from './parquetFiles.ts'
import type { SourceFile } from './sourceFiles.ts'

export interface SourceRelation {
  readonly source: Source
  readonly files: readonly SourceFile[]
  readonly columns: readonly Column[]
  readonly time: EventTime
}

/**
 * Learns the columns of a source's files.
 *
 * @throws InputError for a file that cannot be read, columns whose types clash between files, a timestamp column that is
 * missing, is not a time, or carries no zone where the source names none.
 */
export async function bindSource(
  connection: DuckDBConnection,
  source: Source,
  files: readonly SourceFile[],
): Promise<SourceRelation> {
  const columns = await readColumns(connection, source, files)
  const timestamp = columns.find(({ name }) => name === source.timestamp)
  if (timestamp === undefined) {
    throw new InputError(
      `source ${source.name}: there is no timestamp column ${JSON.stringify(source.timestamp)}. The columns are ${columns.map(({ name }) => name).join(', ')}.`,
      { source: source.name, column: source.timestamp },
    )
  }
  return { source, files, columns, time: eventTime(source, storedTimeType(source, timestamp.type)) }
}

/** Text formats give the timestamp column as text, whatever its values look like. */
const storedTimeType = ({ format }: Source, type: string) => (format === 'parquet' ? type : 'VARCHAR')

async function readColumns(
  connection: DuckDBConnection,
  source: Source,
  files: readonly SourceFile[],
): Promise<Column[]> {
  switch (source.format) {
    case 'parquet':
      return parquetColumns(connection, source, files)
    case 'csv':
      return csvColumns(connection, source, files)
    case 'json':
      return jsonColumns(connection, source, files)
  }
}

export interface EventColumn {
  /** Name in the source. */
  readonly name: string
  /** Name in the result. */
  readonly as: string
  /** DuckDB type of the result, where it is not the column's own. A CSV's text as VARCHAR keeps its zeros: `007`. */
  readonly type?: string
}

/**
 * SELECT of events: `event_us`, their time in microseconds since the epoch, and the asked columns under their new names.
 * The timestamp column, where asked for, comes as TIMESTAMPTZ. Without a range: all events.
 */
export function selectEvents(
  { source, files, columns, time }: SourceRelation,
  asked: readonly EventColumn[],
  range?: EventRange,
): string {
  const storedType = (name: string) => columns.find((column) => column.name === name)?.type ?? 'VARCHAR'
  const selected = asked.map(({ name, as, type = storedType(name) }) => {
    if (name === source.timestamp) return `${time.instant} AS ${as}`
    const isStored = type === (source.format === 'csv' ? 'VARCHAR' : storedType(name))
    return `${isStored ? quoteIdentifier(name) : `CAST(${quoteIdentifier(name)} AS ${type})`} AS ${as}`
  })
  const names = new Set(asked.map(({ name }) => name).filter((name) => name !== source.timestamp))
  const stored = storedTable(source, files, [
    { name: source.timestamp, type: 'VARCHAR' },
    ...[...names].map((name) => ({ name, type: storedType(name) })),
  ])
  const events = `SELECT ${[`${time.micros} AS event_us`, ...selected].join(', ')} FROM ${stored}`
  if (range === undefined) return events
  const within = `event_us >= ${range.from * 1000} AND event_us < ${range.to * 1000}`
  return `SELECT * FROM (${events} WHERE ${time.mayLieIn(range)}) WHERE ${within}`
}

function storedTable(source: Source, files: readonly SourceFile[], columns: readonly Column[]): string {
  switch (source.format) {
    case 'parquet':
      return parquetTable(files)
    case 'csv':
      return csvTable(files)
    case 'json':
      return jsonTable(files, columns)
  }
}

/**
 * Looks at every timestamp. For Parquet the files' statistics answer at once; text is read through.
 *
 * @throws InputError that counts those that are null, carry no zone, or are no times.
 */
export async function checkTimestamps(
  connection: DuckDBConnection,
  { source, files, time }: SourceRelation,
): Promise<void> {
  const column = quoteIdentifier(source.timestamp)
  const table = storedTable(source, files, [{ name: source.timestamp, type: 'VARCHAR' }])
  const { isText, isInstant, lacksZone } = time
  const bad = isText ? `NOT coalesce(${isInstant}, false)` : `${column} IS NULL`
  const example = (condition: string) => (isText ? `min(${column}) FILTER (WHERE ${condition})` : 'null')
  const [found] = await query(
    connection,
    `SELECT count(*) AS bad, count(*) FILTER (WHERE ${column} IS NULL) AS nulls, count(*) FILTER (WHERE ${lacksZone}) AS naive, ${example(lacksZone)} AS naive_example, ${example(`NOT coalesce(${lacksZone}, false)`)} AS example FROM ${table} WHERE ${bad}`,
  )
  if (found === undefined || found['bad'] === 0n) return
  if (Number(found['nulls']) > 0) {
    throw new InputError(
      `source ${source.name}: ${String(found['nulls'])} events have no time: column ${source.timestamp} is null. Remove them or fill in their times.`,
      { source: source.name, column: source.timestamp, count: Number(found['nulls']) },
    )
  }
  if (Number(found['naive']) > 0) {
    throw missingZone(
      source,
      `has ${String(found['naive'])} times such as ${quoteLiteral(String(found['naive_example']))}`,
    )
  }
  throw new InputError(
    `source ${source.name}: column ${source.timestamp} has ${String(found['bad'])} values that are not times, such as ${quoteLiteral(String(found['example']))}. Write them like 2001-01-08T06:00:00Z.`,
    { source: source.name, column: source.timestamp, count: Number(found['bad']) },
  )
}

/** A condition's rows among the events of a range: how many, and the time of the first. */
export async function countEvents(
  connection: DuckDBConnection,
  relation: SourceRelation,
  columns: readonly EventColumn[],
  condition: string,
  range: EventRange,
): Promise<{ count: number; first: string }> {
  const [found] = await query(
    connection,
    `SELECT count(*) AS events, CAST(make_timestamp(min(event_us)) AS VARCHAR) AS first FROM (${selectEvents(relation, columns, range)}) WHERE ${condition}`,
  )
  const first = String(found?.['first'] ?? describeRange(range)).replace(' ', 'T')
  return { count: Number(found?.['events'] ?? 0), first: `${first}Z` }
}
