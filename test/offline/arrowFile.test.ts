/** Parquet written anew as Arrow: every value of every type, as apache-arrow and PyArrow read it, in the order of the rows. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { DataType, tableFromIPC, Vector, type Data, type Table } from 'apache-arrow'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/duckdb/quote.ts'
import { openDuckDb, query, writeArrow, type DuckDb } from '../../offline/index.ts'
import { floatText, pythonPath, rowsOf } from '../iceberg/pyiceberg.ts'
import { workbench } from './workbench.ts'

const bench = workbench()
let duckdb: DuckDb
let ordered: DuckDBConnection

beforeAll(async () => {
  duckdb = await openDuckDb({
    ...{ memoryLimit: '500MB', threads: 2, tempDirectory: join(bench.folder, 'ordered'), keepsOrder: true },
  })
  ordered = await duckdb.connect()
})
afterAll(async () => {
  ordered?.closeSync()
  await duckdb?.close()
})

const sometimes = (sql: string, step: number) => `CASE WHEN i % ${step} <> 0 THEN ${sql} END`
/** What becomes of each of DuckDB's types, of rows `i`. */
const columns: Record<string, { sql: string; arrow: string }> = {
  said: { sql: sometimes(`['', 'Äpfel', chr(128512), 'it''s "x"'][1 + i % 4] || i % 9`, 3), arrow: 'string' },
  big: { sql: sometimes('9007199254740993 + i * 131', 5), arrow: 'int64' },
  extreme: { sql: `[-9223372036854775808, 9223372036854775807, NULL][1 + i % 3]`, arrow: 'int64' },
  whole: { sql: sometimes('CAST(-i AS INTEGER)', 7), arrow: 'int32' },
  small: { sql: 'CAST(i % 100 - 50 AS TINYINT)', arrow: 'int32' },
  unsigned: { sql: 'CAST(4294967295 - i AS UINTEGER)', arrow: 'int64' },
  double: {
    sql: `CAST(['0', '-0', 'NaN', 'inf', '-inf', '5e-324', NULL, '0.1'][1 + i % 8] AS DOUBLE)`,
    arrow: 'double',
  },
  float: { sql: sometimes('CAST(i / 3 AS FLOAT)', 11), arrow: 'float' },
  flag: { sql: '[true, false, NULL][1 + i % 3]', arrow: 'bool' },
  moment: {
    sql: sometimes('make_timestamptz(i * 1000000000003 - 62135596800000001)', 13),
    arrow: 'timestamp[us, tz=UTC]',
  },
  texts: { sql: `[['a', NULL, 'é'], [], NULL, ['']][1 + i % 4]`, arrow: 'list<item: string>' },
  wholes: { sql: sometimes('[i, NULL, 9007199254740993 + i]', 17), arrow: 'list<item: int64>' },
  floats: { sql: sometimes(`CAST(['NaN', i / 7, NULL, '-0'] AS FLOAT[])`, 19), arrow: 'list<item: float>' },
  doubles: { sql: `[i / 7, '-0'::DOUBLE]`, arrow: 'list<item: double>' },
  flags: { sql: '[i % 2 = 0, NULL]', arrow: 'list<item: bool>' },
  moments: {
    sql: sometimes('[make_timestamptz(i * 1000003 + 1704067200000001), NULL]', 4),
    arrow: 'list<item: timestamp[us, tz=UTC]>',
  },
  money: { sql: sometimes('CAST(i / 8 AS DECIMAL(10, 3))', 6), arrow: 'string' },
  day: { sql: "DATE '2024-01-01' + CAST(i % 400 AS INTEGER)", arrow: 'string' },
  local: { sql: "TIMESTAMP '2024-01-01 00:00:00.000001' + to_seconds(i)", arrow: 'string' },
  huge: { sql: '9223372036854775807::HUGEINT::DECIMAL(38, 0) * (1 + i)', arrow: 'string' },
  nested: { sql: '{a: i, b: [i]}', arrow: 'string' },
  days: { sql: "[DATE '2024-01-01', NULL]", arrow: 'list<item: string>' },
  nothing: { sql: 'CAST(NULL AS VARCHAR)', arrow: 'string' },
  [`it's "odd"`]: { sql: 'i', arrow: 'int64' },
}
const asText = /^(DECIMAL|DATE|TIMESTAMP$|STRUCT)/

/** A batch and a part of one, of several row groups. */
const rows = 65_536 + 7

async function parquetOf(name: string, count: number) {
  const selected = Object.entries(columns).map(([column, { sql }]) => `${sql} AS ${quoteIdentifier(column)}`)
  const path = join(bench.folder, `${name}.parquet`)
  await query(
    ordered,
    `COPY (SELECT ${selected.join(', ')} FROM range(${count}) AS numbers(i)) TO ${quoteLiteral(path)} (FORMAT parquet, ROW_GROUP_SIZE 20480, DICTIONARY_SIZE_LIMIT 0)`,
  )
  const found = await query(ordered, `DESCRIBE SELECT * FROM read_parquet(${quoteLiteral(path)})`)
  return {
    parquetPath: path,
    path: join(bench.folder, `${name}.arrow`),
    columns: found.map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) })),
    rows: count,
  }
}

/** The same rows, with DuckDB's text of what Arrow has as text. */
const twinOf = ({ parquetPath, columns: found }: Awaited<ReturnType<typeof parquetOf>>) =>
  `SELECT ${found
    .map(({ name, type }) => {
      const column = quoteIdentifier(name)
      if (!asText.test(type)) return column
      return `CAST(${column} AS VARCHAR${type.endsWith('[]') ? '[]' : ''}) AS ${column}`
    })
    .join(', ')} FROM read_parquet(${quoteLiteral(parquetPath)})`

/** As `rowsOf` writes values. */
function textAt(data: Data, at: number): string | null {
  if (!data.getValid(at)) return null
  if (DataType.isList(data.type)) {
    const [from = 0, to = 0] = (data.valueOffsets as Int32Array).subarray(at, at + 2)
    const [elements] = data.children as [Data]
    const texts = Array.from({ length: to - from }, (_, place) => textAt(elements, from + place) ?? 'null')
    return `[${texts.join(',')}]`
  }
  if (DataType.isTimestamp(data.type)) return String((data.values as BigInt64Array)[at])
  const value: unknown = new Vector([data]).get(at)
  return DataType.isFloat(data.type) ? floatText(value as number) : String(value)
}

const textsOf = (table: Table) =>
  table.batches.flatMap((batch) =>
    Array.from({ length: batch.numRows }, (_, row) => batch.data.children.map((data) => textAt(data, row))),
  )

function python(path: string, twin: string): string[] {
  const script = join(import.meta.dirname, 'arrowFile.py')
  const { status, stdout, stderr } = spawnSync(pythonPath(), ['-I', script, path, twin], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout.trimEnd().split('\n')
}

test('every value is the one in Parquet, in its place, for apache-arrow and for PyArrow', async () => {
  const given = await parquetOf('all', rows)
  await writeArrow(ordered, given)
  const table = tableFromIPC(readFileSync(given.path))
  const expected = await rowsOf(ordered, twinOf(given))
  const found = textsOf(table)
  expect(found).toHaveLength(rows)
  expect(found.findIndex((row, place) => JSON.stringify(row) !== JSON.stringify(expected[place]))).toBe(-1)

  const twin = join(bench.folder, 'twin.parquet')
  await query(
    ordered,
    `COPY (SELECT * REPLACE (CAST(small AS INTEGER) AS small, CAST(unsigned AS BIGINT) AS unsigned) FROM (${twinOf(given)})) TO ${quoteLiteral(twin)} (FORMAT parquet, DICTIONARY_SIZE_LIMIT 0)`,
  )
  expect(python(given.path, twin)).toEqual([
    ...Object.entries(columns).map(([name, { arrow }]) => `${name}: ${arrow}`),
    'batches: 65536 7',
  ])
})

test('without rows there are columns still', async () => {
  const given = await parquetOf('none', 0)
  await writeArrow(ordered, given)
  const table = tableFromIPC(readFileSync(given.path))
  expect(table.numRows).toBe(0)
  expect(table.schema.names).toEqual(Object.keys(columns))
  const twin = await bench.writeParquet('none-twin.parquet', `SELECT * FROM (${twinOf(given)})`)
  expect(python(given.path, twin).at(-1)).toBe('batches:')
})

test('a file that gave other rows than it has is refused', async () => {
  const given = await parquetOf('short', 10)
  await expect(writeArrow(ordered, { ...given, rows: 11 })).rejects.toThrow(
    /Only 10 of 11 rows of .*short\.parquet could be read/,
  )
  const abort = AbortSignal.abort(new Error('enough'))
  await expect(writeArrow(ordered, { ...given, signal: abort })).rejects.toThrow('enough')
})
