/**
 * PyIceberg as a second opinion: one Python process for a test file, and the check that holds our reader against it.
 *
 * Rows are compared as texts that lose nothing (see pyiceberg.py), in no order.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBListValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBConnection,
  type DuckDBValue,
} from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/duckdb/quote.ts'
import { readDataFiles } from '../../iceberg/duckdb/reader.ts'
import type { Filter } from '../../iceberg/mightMatch.ts'
import { planScan } from '../../iceberg/scan.ts'
import { fieldNamed } from '../../iceberg/schema.ts'
import type { SingleValue } from '../../iceberg/singleValue.ts'
import type { Table } from '../../iceberg/table.ts'
import type { DataFile, PartitionSpec, PrimitiveType, Schema } from '../../iceberg/types.ts'

export type Row = readonly (string | null)[]

/** A live file as a manifest describes it; maps are keyed by field id, bounds are hex. */
interface FileInWords {
  readonly filePath: string
  readonly recordCount: string
  readonly fileSizeInBytes: string
  readonly partition: Row
  readonly valueCounts: Readonly<Record<string, string>>
  readonly nullValueCounts: Readonly<Record<string, string>>
  readonly nanValueCounts: Readonly<Record<string, string>>
  readonly lowerBounds: Readonly<Record<string, string>>
  readonly upperBounds: Readonly<Record<string, string>>
}

export interface SeenFile {
  readonly said: FileInWords
  /** What PyIceberg finds when it holds the file's rows against all that. */
  readonly wrong: readonly string[]
}

export interface SeenTable {
  readonly refs: Readonly<Record<string, string>>
  /** The age that each tag may reach, in milliseconds. */
  readonly tags: Readonly<Record<string, number | null>>
  readonly current: string | null
  readonly snapshots: readonly {
    readonly id: string
    readonly sequenceNumber: string
    readonly operation: string
  }[]
  readonly history: readonly string[]
}

interface Scan {
  readonly table: string
  readonly ref?: string
  readonly filter?: Filter
}

export interface PyIceberg {
  open(options: { name: string; uri: string; warehouse: string }): Promise<null>
  list(options: { namespace: string }): Promise<string[]>
  read(scan: Scan): Promise<Row[]>
  files(scan: Scan): Promise<SeenFile[]>
  refs(options: { table: string }): Promise<SeenTable>
  /** Of bytes, hex; its instants are microseconds. */
  transform(options: {
    transform: string
    type: PrimitiveType
    values: readonly SingleValue[]
  }): Promise<(number | null)[]>
  /** The id of the snapshot that was current. */
  asOf(options: { table: string; ms: number }): Promise<string | null>
  create(options: { table: string; schema: Schema; spec: PartitionSpec }): Promise<string>
  append(options: { table: string; ref?: string; rows: readonly Row[] }): Promise<null>
  delete(options: { table: string; filter: Filter }): Promise<null>
  close(): Promise<void>
}

/** A Python that has PyIceberg and PyArrow. */
export function pythonPath(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const path = process.env['ASOF_PYICEBERG_PYTHON'] ?? join(cache, 'asof/pyiceberg-0.12.0/bin/python')
  if (existsSync(path)) return path
  throw new Error(
    `PyIceberg's Python is not at ${path}. Run \`npm test\` once, which sets it up, or point ASOF_PYICEBERG_PYTHON at a Python that has pyiceberg[sql-sqlite,pyarrow,pyiceberg-core]==0.12.0.`,
  )
}

export function startPyIceberg(): PyIceberg {
  // Isolated, since the script's own folder and name would hide the package of that name.
  const script = join(import.meta.dirname, 'pyiceberg.py')
  const python = spawn(pythonPath(), ['-I', '-W', 'ignore', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]()
  let last: Promise<unknown> = Promise.resolve()

  async function answer(request: object): Promise<unknown> {
    python.stdin.write(`${JSON.stringify(request, asText)}\n`)
    const line = await lines.next()
    if (line.done) throw new Error('PyIceberg ended before it answered.')
    const reply = JSON.parse(line.value) as { answer?: unknown; error?: string }
    if (reply.error !== undefined) throw new Error(`PyIceberg: ${reply.error}`)
    return reply.answer
  }
  function ask<Answer>(command: string) {
    return (options: object): Promise<Answer> => {
      const turn = last.then(() => answer({ do: command, ...options }))
      last = turn.catch(() => undefined)
      return turn as Promise<Answer>
    }
  }
  return {
    open: ask('open'),
    list: ask('list'),
    read: ask('read'),
    files: ask('files'),
    refs: ask('refs'),
    transform: ask('transform'),
    asOf: ask('as_of'),
    create: ask('create'),
    append: ask('append'),
    delete: ask('delete'),
    close: () =>
      new Promise((resolve) => {
        if (python.exitCode === null) python.once('exit', () => resolve())
        else resolve()
        python.stdin.end()
      }),
  }
}

/** What JSON cannot say. */
function asText(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { whole: value.toString() }
  return typeof value === 'number' && !Number.isFinite(value) ? { float: String(value) } : value
}

/** Rows of a query of DuckDB as texts. */
export async function rowsOf(connection: DuckDBConnection, sql: string): Promise<Row[]> {
  const result = await connection.runAndReadAll(sql)
  const floats = result.columnTypes().map((type) => /FLOAT|DOUBLE/.test(String(type)))
  return result.getRows().map((row) => row.map((value, index) => textOf(value, floats[index] ?? false)))
}

function textOf(value: DuckDBValue, float: boolean): string | null {
  if (value === null) return null
  if (typeof value === 'number' && float) return floatText(value)
  if (value instanceof DuckDBDateValue) return String(value.days)
  if (value instanceof DuckDBTimestampTZValue || value instanceof DuckDBTimestampValue)
    return String(value.micros)
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('hex')
  if (value instanceof DuckDBListValue) {
    return `[${value.items.map((item) => textOf(item, float) ?? 'null').join(',')}]`
  }
  return String(value)
}

export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

/** The filter as DuckDB's SQL. */
export function filterSql(schema: Schema, filter: Filter): string {
  if ('filters' in filter) {
    return `(${filter.filters.map((one) => filterSql(schema, one)).join(` ${filter.op} `)})`
  }
  const column = quoteIdentifier(filter.column)
  if (filter.op === 'is_null') return `${column} IS NULL`
  if (filter.op === 'not_null') return `${column} IS NOT NULL`
  const { type } = fieldNamed(schema, filter.column)
  const constant = (value: SingleValue): string => {
    if (type === 'timestamptz') return `make_timestamptz(${String(value)})`
    if (type === 'date') return `DATE '1970-01-01' + ${String(value)}`
    if (type === 'double' || type === 'float') return `CAST('${String(value)}' AS DOUBLE)`
    return typeof value === 'string' ? quoteLiteral(value) : String(value)
  }
  if (filter.op === 'in') return `${column} IN (${filter.value.map(constant).join(', ')})`
  const sign = { eq: '=', lt: '<', le: '<=', gt: '>', ge: '>=' }[filter.op]
  return `${column} ${sign} ${constant(filter.value)}`
}

export interface Comparison {
  readonly table: Table
  readonly name: string
  /** A branch; what readers get unasked by default. */
  readonly ref?: string
  readonly filters: readonly Filter[]
  readonly connection: DuckDBConnection
  readonly python: PyIceberg
  readonly localPath: (location: string) => string
}

/**
 * Everything in which PyIceberg and our own reader differ about a table, in sentences; none is what we want.
 * Expected of a filter is what DuckDB finds among all rows, unplanned.
 */
export async function differences(comparison: Comparison): Promise<string[]> {
  const { table, name, ref, filters, connection, python, localPath } = comparison
  const all = await planScan(table, { ref })
  const relation = readDataFiles({ schema: all.schema, files: all.files, localPath })
  const ours = await rowsOf(connection, `SELECT * FROM ${relation}`)
  const found = compareRows('all rows', ours, await python.read({ table: name, ref }))
  for (const filter of filters) {
    const what = JSON.stringify(filter, asText)
    const where = filterSql(all.schema, filter)
    const expected = await rowsOf(connection, `SELECT * FROM ${relation} WHERE ${where}`)
    found.push(
      ...compareRows(`PyIceberg, ${what}`, expected, await python.read({ table: name, ref, filter })),
    )
    const planned = await planScan(table, { ref, filter })
    const read = readDataFiles({ schema: planned.schema, files: planned.files, localPath })
    found.push(
      ...compareRows(
        `our plan, ${what}`,
        expected,
        await rowsOf(connection, `SELECT * FROM ${read} WHERE ${where}`),
      ),
    )
  }
  return [...found, ...compareFiles(table, all.files, await python.files({ table: name, ref }))]
}

/** What two sets of rows differ in, whatever their order, in a sentence; none is what we want. */
export function compareRows(what: string, expected: readonly Row[], got: readonly Row[]): string[] {
  const left = expected.map((row) => JSON.stringify(row)).toSorted()
  const right = got.map((row) => JSON.stringify(row)).toSorted()
  if (left.join('\n') === right.join('\n')) return []
  const missing = left.find((row) => !right.includes(row))
  const extra = right.find((row) => !left.includes(row))
  return [
    `${what}: ${left.length} rows expected, ${right.length} seen; missing ${missing ?? '-'}, extra ${extra ?? '-'}`,
  ]
}

function compareFiles(table: Table, ours: readonly DataFile[], theirs: readonly SeenFile[]): string[] {
  const described = (file: DataFile): FileInWords => ({
    filePath: file.filePath,
    recordCount: String(file.recordCount),
    fileSizeInBytes: String(file.fileSizeInBytes),
    partition: table.spec.fields.map((field) => {
      const value = file.partition[field.name] ?? null
      return value === null ? null : String(value)
    }),
    valueCounts: entriesOf(file.valueCounts, String),
    nullValueCounts: entriesOf(file.nullValueCounts, String),
    nanValueCounts: entriesOf(file.nanValueCounts, String),
    lowerBounds: entriesOf(file.lowerBounds, (bytes) => Buffer.from(bytes).toString('hex')),
    upperBounds: entriesOf(file.upperBounds, (bytes) => Buffer.from(bytes).toString('hex')),
  })
  const sorted = (files: readonly FileInWords[]): string =>
    files
      .map((file) => JSON.stringify(file))
      .toSorted()
      .join(' ')
  const [left, right] = [sorted(ours.map(described)), sorted(theirs.map(({ said }) => said))]
  return [
    ...(left === right ? [] : [`files differ: ours ${left}, theirs ${right}`]),
    ...theirs.flatMap(({ said, wrong }) => wrong.map((what) => `${said.filePath}: ${what}`)),
  ]
}

const entriesOf = <Value>(
  map: ReadonlyMap<number, Value>,
  text: (value: Value) => string,
): Record<string, string> => Object.fromEntries([...map].map(([key, value]) => [String(key), text(value)]))
