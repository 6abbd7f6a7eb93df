/**
 * Reads a source: what columns its files have, and SQL that yields its events.
 *
 * Parquet says its types. JSON says some and CSV none, so theirs are found by looking at every value, not at a sample: a
 * type that depends on where a sample ended would change under a group. Only the columns that are asked for are read.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { Source } from '../model/source.ts'
import type { SqlSource } from '../model/sqlSource.ts'
import type { Column } from './columnType.ts'
import { csvColumns, csvTable, jsonColumns, jsonTable } from './textFiles.ts'
import { query } from './duckdb.ts'
import type { EpochMs } from '../model/time.ts'
import { describeRange, eventTime, type EventRange, type EventTime } from './eventTime.ts'
import { parquetColumns, parquetTable } from './parquetFiles.ts'
import type { SourceFile } from './sourceFiles.ts'
import { describeTable, judgeSql, sqlOver, type NamedSelect } from './sqlText.ts'

export interface SourceRelation {
  readonly source: Source
  readonly files: readonly SourceFile[]
  readonly columns: readonly Column[]
  readonly time: EventTime
  /** Null where the source names no arrival column. */
  readonly arrival: EventTime | null
  /** Leaves out events that arrive later, where the source says when that is. */
  readonly arrivedBy?: EpochMs
  /** What a SQL source reads. */
  readonly inputs: readonly SourceRelation[]
}

/** The columns of sources by their names, as a plan pins them. */
export type PinnedColumns = Readonly<Record<string, readonly Column[]>>

/** What `bindSources` found out, for a plan to keep. */
export function pinnedColumns(relations: readonly SourceRelation[]): PinnedColumns {
  const found = relations.map(({ source, columns, inputs }) => ({
    ...pinnedColumns(inputs),
    [source.name]: columns,
  }))
  return Object.assign({}, ...found) as PinnedColumns
}

/**
 * Binds each source to its own among the files.
 *
 * @param pinned columns that are known: finding the types of text means to read it all, and every chunk of a run takes a
 * column for the same
 */
export async function bindSources(
  connection: DuckDBConnection,
  sources: readonly Source[],
  files: readonly SourceFile[],
  pinned: PinnedColumns = {},
): Promise<SourceRelation[]> {
  const relations: SourceRelation[] = []
  for (const source of sources) relations.push(await bindSource(connection, source, files, pinned))
  return relations
}

/**
 * Learns the columns of a source.
 *
 * @param files those of the source, or more
 * @throws InputError for a file that cannot be read, columns whose types clash between files, a timestamp column that is
 * missing, is not a time, or carries no zone where the source names none.
 */
export async function bindSource(
  connection: DuckDBConnection,
  source: Source,
  files: readonly SourceFile[],
  pinned: PinnedColumns = {},
): Promise<SourceRelation> {
  const own = files.filter((file) => file.source === source.name)
  const inputs = source.format === 'sql' ? await bindSources(connection, source.sources, files, pinned) : []
  const columns = Object.hasOwn(pinned, source.name) ? pinned[source.name] : undefined
  return sourceRelation(source, own, columns ?? (await readColumns(connection, source, own, inputs)), inputs)
}

function sourceRelation(
  source: Source,
  files: readonly SourceFile[],
  columns: readonly Column[],
  inputs: readonly SourceRelation[],
): SourceRelation {
  return {
    ...{ source, files, columns, inputs },
    time: timeOf(source, columns, 'timestamp', source.timestamp),
    arrival: source.arrival === undefined ? null : timeOf(source, columns, 'arrival', source.arrival),
  }
}

function timeOf(
  source: Source,
  columns: readonly Column[],
  what: 'timestamp' | 'arrival',
  name: string,
): EventTime {
  const column = columns.find((one) => one.name === name)
  if (column === undefined) {
    throw new InputError(
      `source ${source.name}: there is no ${what} column ${JSON.stringify(name)}. The columns are ${columns.map((one) => one.name).join(', ')}.`,
      { source: source.name, column: name },
    )
  }
  return eventTime(source, name, storedTimeType(source, column.type))
}

/** Text formats give columns of times as text, whatever their values look like. */
const storedTimeType = ({ format }: Source, type: string) =>
  format === 'parquet' || format === 'sql' ? type : 'VARCHAR'

/** Whether features see the column as an instant. */
export const isTimeColumn = ({ timestamp, arrival }: Source, name: string) =>
  name === timestamp || name === arrival

async function readColumns(
  connection: DuckDBConnection,
  source: Source,
  files: readonly SourceFile[],
  inputs: readonly SourceRelation[],
): Promise<Column[]> {
  switch (source.format) {
    case 'sql':
      return sqlColumns(connection, source, inputs)
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
 * SELECT of events: `event_us`, their time in microseconds since the epoch, `arrival_us` likewise where the source names
 * an arrival column, and the asked columns under their new names. Columns of times, where asked for, come as TIMESTAMPTZ.
 * Without a range: all events.
 */
export function selectEvents(
  relation: SourceRelation,
  asked: readonly EventColumn[],
  range?: EventRange,
): string {
  const { source, columns, time, arrival, arrivedBy } = relation
  const foundType = (name: string) => columns.find((column) => column.name === name)?.type ?? 'VARCHAR'
  const storedType = (name: string) => (isReadAsText(source, name) ? 'VARCHAR' : foundType(name))
  const times = arrival === null ? [time] : [time, arrival]
  const selected = asked.map(({ name, as, type = foundType(name) }) => {
    const instant = times.find((one) => one.name === name)?.instant
    if (instant !== undefined) return `${instant} AS ${as}`
    return `${type === storedType(name) ? quoteIdentifier(name) : `CAST(${quoteIdentifier(name)} AS ${type})`} AS ${as}`
  })
  const names = new Set(asked.map(({ name }) => name).filter((name) => !isTimeColumn(source, name)))
  const stored = storedTable(relation, [
    ...times.map(({ name }) => ({ name, type: 'VARCHAR' })),
    ...[...names].map((name) => ({ name, type: storedType(name) })),
  ])
  const arrived = arrival === null ? [] : [`${arrival.micros} AS arrival_us`]
  const events = `SELECT ${[`${time.micros} AS event_us`, ...arrived, ...selected].join(', ')} FROM ${stored}`
  const known = arrivedBy === undefined || arrival === null ? [] : [`arrival_us <= ${arrivedBy * 1000}`]
  if (range === undefined) return known.length === 0 ? events : `SELECT * FROM (${events}) WHERE ${known[0]}`
  const within = [`event_us >= ${range.from * 1000}`, `event_us < ${range.to * 1000}`, ...known]
  return `SELECT * FROM (${events} WHERE ${time.mayLieIn(range)}) WHERE ${within.join(' AND ')}`
}

/** A declared column of JSON is read as it is written, because DuckDB would round a fraction to an integer. */
const isReadAsText = (source: Source, name: string) =>
  source.format === 'csv' ||
  (source.format === 'json' && source.columns !== undefined && Object.hasOwn(source.columns, name))

/** The files as one table; `columns` are those that JSON gives. */
export function storedTable({ source, files, inputs }: SourceRelation, columns: readonly Column[]): string {
  switch (source.format) {
    case 'sql':
      return sqlOver(
        inputs.map((input) => asTable(input)),
        source.sql,
      )
    case 'parquet':
      return parquetTable(files)
    case 'csv':
      return csvTable(files)
    case 'json':
      return jsonTable(files, columns)
  }
}

/**
 * A source as users' SQL sees it: its columns under their names, its times as instants.
 *
 * @param arrivedBy leaves out what arrives later, where the source says when that is
 */
export function asTable(relation: SourceRelation, arrivedBy?: EpochMs): NamedSelect {
  const asked = relation.columns.map(({ name, type }, index) => ({
    name,
    as: `s${index}`,
    // A column in which no value says anything is text to SQL.
    type: type === 'NULL' ? 'VARCHAR' : type,
  }))
  const named = asked.map(({ name, as }) => `${as} AS ${quoteIdentifier(name)}`)
  const events = selectEvents(arrivedBy === undefined ? relation : { ...relation, arrivedBy }, asked)
  return { name: relation.source.name, select: `SELECT ${named.join(', ')} FROM (${events})` }
}

/** @throws InputError for SQL that is not allowed, and with what DuckDB's binder says of it. */
async function sqlColumns(
  connection: DuckDBConnection,
  source: SqlSource,
  inputs: readonly SourceRelation[],
): Promise<Column[]> {
  const what = `source ${source.name}`
  const tables = source.sources.map(({ name }) => name)
  await judgeSql(connection, source.sql, { what, tables, parameters: [] })
  return describeTable(
    connection,
    what,
    sqlOver(
      inputs.map((input) => asTable(input)),
      source.sql,
    ),
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
