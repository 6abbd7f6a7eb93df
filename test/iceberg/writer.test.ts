/** Data files written, read and rewritten by DuckDB: order, partitions, statistics, odd names, refusals. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readDataFiles } from '../../iceberg/duckdb/reader.ts'
import { rewriteOutside } from '../../iceberg/duckdb/rewrite.ts'
import { parseStatistic } from '../../iceberg/duckdb/statistics.ts'
import { writeDataFiles, type WriteOptions } from '../../iceberg/duckdb/writer.ts'
import { columnType, fieldIds, icebergSchema } from '../../iceberg/schema.ts'
import { decodeBound, InvalidInput } from '../../iceberg/singleValue.ts'
import { applyTransform } from '../../iceberg/transforms.ts'
import type { DataFile, PartitionSpec, PrimitiveType, Schema } from '../../iceberg/types.ts'

const localPath = (location: string): string => location.replace(/^file:\/\//, '')
const unpartitioned: PartitionSpec = { 'spec-id': 0, fields: [] }
const partitionedBy = (...fields: [sourceId: number, name: string, transform: string][]): PartitionSpec => ({
  'spec-id': 3,
  fields: fields.map(([source, name, transform], index) => ({
    'source-id': source,
    'field-id': 1000 + index,
    name,
    transform,
  })),
})

let root: string
let connection: DuckDBConnection
let attempts = 0
let directory: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'iceberg writer-'))
  connection = await (await DuckDBInstance.create(':memory:')).connect()
})
beforeEach(() => {
  directory = `file://${root}/attempt ${++attempts}`
})
afterAll(async () => {
  connection.closeSync()
  await rm(root, { recursive: true, force: true })
})

const rowsOf = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson()
const read = (schema: Schema, files: readonly DataFile[], columns?: string[]): string =>
  readDataFiles({ schema, files, localPath, columns })
const write = (
  options: Pick<WriteOptions, 'schema' | 'relation'> & Partial<WriteOptions>,
): Promise<DataFile[]> =>
  writeDataFiles(connection, { spec: unpartitioned, orderBy: [], directory, localPath, ...options })

/** Rows of which one file is made. */
const writeOne = async (options: Parameters<typeof write>[0]): Promise<DataFile> => {
  const [file, ...more] = await write(options)
  if (!file || more.length > 0) throw new Error(`${more.length + 1} files were not expected`)
  return file
}
const boundOf = (type: PrimitiveType, bounds: ReadonlyMap<number, Uint8Array>, id = 1) => {
  const bytes = bounds.get(id)
  return bytes && decodeBound(type, bytes)
}

const events = icebergSchema([
  { name: 'key', type: 'string' },
  { name: 'ts', type: 'timestamptz' },
  { name: 'n', type: 'long' },
])

describe('partitions', () => {
  test('one sorted file for each day in UTC, one for null, none for a day without rows', async () => {
    await connection.run(`SET TimeZone = 'America/New_York'`)
    // On both sides of midnight of days 0, 1 and 4, hence in days -1, 0, 1, 3 and 4.
    await connection.run(`CREATE OR REPLACE TABLE events AS SELECT 'k' || (hash(i) % 7) AS key, i AS n,
      CASE WHEN i % 10 = 7 THEN NULL ELSE make_timestamptz([0, 1, 4][i % 3 + 1] * 86_400_000_000 - 1 + i // 500) END AS ts
      FROM range(1000) r(i)`)
    const spec = partitionedBy([2, 'ts_day', 'day'])
    const files = await write({ schema: events, spec, relation: 'events', orderBy: ['key', 'ts', 'n'] })
    await connection.run(`RESET TimeZone`)
    expect(files.map((file) => file.partition)).toEqual(
      [-1, 0, 1, 3, 4, null].map((day) => ({ ts_day: day })),
    )
    expect(files.map(({ recordCount }) => recordCount).reduce((sum, count) => sum + count)).toBe(1000n)
    for (const file of files) {
      expect(file.specId).toBe(3)
      const rows = await rowsOf(`SELECT epoch_us(ts)::VARCHAR AS micros,
        concat_ws(' ', key, lpad(micros, 20, ' '), lpad(n::VARCHAR, 4, ' ')) AS sorted FROM ${read(events, [file])}`)
      expect(rows).toHaveLength(Number(file.recordCount))
      for (const { micros } of rows) {
        const value = typeof micros === 'string' ? BigInt(micros) : null
        expect(applyTransform('day', 'timestamptz', value)).toBe(file.partition['ts_day'])
      }
      const keys = rows.map(({ sorted }) => sorted)
      expect(keys).toEqual(keys.toSorted())
    }
    expect(
      await rowsOf(`SELECT key, ts, n FROM events EXCEPT ALL SELECT * FROM ${read(events, files)}`),
    ).toEqual([])
  })

  test('identity and bucket together; odd values, null among them', async () => {
    const schema = icebergSchema([
      { name: "we\"ird 'name'", type: 'string' },
      { name: 'id', type: 'long' },
    ])
    await connection.run(`CREATE OR REPLACE TABLE odd AS SELECT ['it''s', 'a/b=%20', '', 'ñ😀', NULL][i % 5 + 1]
      AS "we""ird 'name'", i AS id FROM range(100) r(i)`)
    const spec = partitionedBy([1, 'we"ird', 'identity'], [2, 'id_bucket', 'bucket[2]'])
    const files = await write({ schema, spec, relation: 'odd', orderBy: ['id'] })
    expect(files).toHaveLength(10)
    for (const file of files) {
      for (const [name, id] of (
        await connection.runAndReadAll(`SELECT * FROM ${read(schema, [file])}`)
      ).getRows()) {
        const expected = {
          'we"ird': name,
          id_bucket: applyTransform('bucket[2]', 'long', BigInt(String(id))),
        }
        expect(file.partition).toEqual(expected)
      }
    }
    expect(await rowsOf(`SELECT * FROM odd EXCEPT ALL SELECT * FROM ${read(schema, files)}`)).toEqual([])
  })

  test.each<[PrimitiveType, string]>([
    ['boolean', 'i % 2 = 0'],
    ['int', '(i % 3)::INTEGER'],
    ['long', '(i % 3) + 9007199254740993'],
    ['date', `DATE '1969-12-31' + (i % 3)::INTEGER`],
    ['timestamp', 'make_timestamp(i % 3 - 1)'],
    ['timestamptz', 'make_timestamptz(i % 3 - 1)'],
  ])('identity of %s', async (type, sql) => {
    const schema = icebergSchema([{ name: 'v', type }])
    const relation = `(SELECT ${sql} AS v FROM range(9) r(i))`
    const files = await write({ schema, relation, spec: partitionedBy([1, 'v', 'identity']), orderBy: ['v'] })
    expect(files.map(({ recordCount }) => Number(recordCount))).toEqual(
      type === 'boolean' ? [4, 5] : [3, 3, 3],
    )
    for (const file of files) {
      expect(file.partition['v']).toEqual(boundOf(type, file.lowerBounds))
      expect(file.partition['v']).toEqual(boundOf(type, file.upperBounds))
    }
  })

  test('no rows, no files', async () => {
    const relation = `(SELECT 'x' AS key, make_timestamptz(0) AS ts, 1 AS n WHERE false)`
    expect(await write({ schema: events, relation })).toEqual([])
    expect(await write({ schema: events, relation, spec: partitionedBy([2, 'd', 'day']) })).toEqual([])
    expect(await readdir(localPath(directory))).toEqual([])
  })
})

describe('floats keep their bits', () => {
  const list = (element: PrimitiveType) => ({ type: 'list', element, 'element-required': false }) as const
  const schema = icebergSchema([
    { name: 'n', type: 'long' },
    { name: 'f', type: 'float' },
    { name: 'd', type: 'double' },
    { name: 'fs', type: list('float') },
    { name: 'ds', type: list('double') },
  ])
  // Zeros of both signs, and NaNs of both signs: a thousand rows of four values are what a dictionary is made for.
  const relation = `(SELECT i AS n, ['0', '-0', 'nan', '-nan'][i % 4 + 1] AS text, text::FLOAT AS f, text::DOUBLE AS d,
    [NULL, f] AS fs, [d, NULL] AS ds FROM range(1000) r(i))`
  const minus = 'WHERE n % 2 = 1'

  test.each([
    ['one file', unpartitioned],
    ['partitions', partitionedBy([1, 'bucket', 'bucket[2]'])],
  ])('read by DuckDB, in %s', async (_name, spec) => {
    const files = await write({ schema, spec, relation, orderBy: ['n'] })
    const signs = ['f', 'd', 'fs[2]', 'ds[1]'].map((value) => `count(*) FILTER (signbit(${value}))`)
    const counted = async (where: string) =>
      (
        await connection.runAndReadAll(`SELECT ${signs.join(', ')} FROM ${read(schema, files)} ${where}`)
      ).getRows()[0]
    expect(await counted('')).toEqual([500n, 500n, 500n, 500n])
    expect(await counted(minus)).toEqual([500n, 500n, 500n, 500n])
  })
})

describe('statistics', () => {
  test('null counts, NaN, infinities, lists, and only true bounds', async () => {
    const schema = icebergSchema([
      { name: 'flag', type: 'boolean' },
      { name: 'small', type: 'int' },
      { name: 'float', type: 'float' },
      { name: 'withNaN', type: 'double' },
      { name: 'infinite', type: 'double' },
      { name: 'nothing', type: 'double' },
      { name: 'text', type: 'string' },
      { name: 'bytes', type: 'binary' },
      { name: 'vector', type: { type: 'list', element: 'float', 'element-required': false } },
    ])
    const relation = `(SELECT * FROM (VALUES
      (true, -5::TINYINT, 0.1::FLOAT, 'nan'::DOUBLE, 'inf'::DOUBLE, NULL::DOUBLE, 'é€😀', '\\x00\\xFF'::BLOB, [1.5, NULL]),
      (false, NULL, -0.0, 1.5, '-inf', NULL, 'a', '\\x01', []), (NULL, 7, 3e38, 2, 0, NULL, NULL, NULL, NULL))
      t(flag, small, float, "withNaN", infinite, nothing, text, bytes, vector))`
    const file = await writeOne({ schema, relation })
    expect(file).toMatchObject({ recordCount: 3n, partition: {}, specId: 0 })
    expect([...file.valueCounts]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((id) => [id, 3n]))
    expect([...file.nullValueCounts.values()]).toEqual([1n, 1n, 0n, 0n, 0n, 3n, 1n, 1n])
    expect([...file.nanValueCounts]).toEqual([3, 5, 6].map((id) => [id, 0n]))
    expect([...file.columnSizes.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10])
    const bound = (bounds: ReadonlyMap<number, Uint8Array>) =>
      schema.fields.map(({ id, type }) => {
        return boundOf(type as PrimitiveType, bounds, id)
      })
    const nothing = undefined
    expect(bound(file.lowerBounds)).toEqual([
      false,
      -5,
      -0,
      1.5,
      -Infinity,
      nothing,
      'a',
      Uint8Array.of(0, 255),
      nothing,
    ])
    expect(bound(file.upperBounds)).toEqual([
      true,
      7,
      Math.fround(3e38),
      2,
      Infinity,
      nothing,
      'é€😀',
      Uint8Array.of(1),
      nothing,
    ])
    const local = localPath(file.filePath)
    expect(await rowsOf(`SELECT size::VARCHAR AS size FROM read_blob('${local}')`)).toEqual([
      { size: String(file.fileSizeInBytes) },
    ])
  })

  test('bounds hold every value, whatever the strings', async () => {
    const schema = icebergSchema([{ name: 'text', type: 'string' }])
    const seed = Math.trunc(Math.random() * 2 ** 31)
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom('a', '\u{10ffff}', '\x7f', 'é'), minLength: 200, maxLength: 300 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), async (texts) => {
        const list = texts.map((one) => `decode(from_hex('${Buffer.from(one).toString('hex')}'))`).join(', ')
        const file = await writeOne({ schema, relation: `(SELECT unnest([${list}]) AS text)` })
        const lower = file.lowerBounds.get(1)
        const upper = file.upperBounds.get(1)
        for (const one of texts) {
          if (lower) expect(Buffer.compare(lower, Buffer.from(one))).toBeLessThanOrEqual(0)
          if (upper) expect(Buffer.compare(upper, Buffer.from(one))).toBeGreaterThanOrEqual(0)
        }
      }),
      { seed, numRuns: 60 },
    )
  })

  test.each<[PrimitiveType, string]>([
    ['timestamptz', `TIMESTAMPTZ '2001-01-08 06:00:00.000001+00'`],
    ['timestamptz', `TIMESTAMPTZ '1969-12-31 23:59:59.5+00'`],
    ['timestamptz', `TIMESTAMPTZ '12000-02-29 00:00:00+00'`],
    ['timestamp', `TIMESTAMP '0044-03-15 (BC) 12:00:00'`],
    ['timestamp', `TIMESTAMP '0001-01-01 00:00:00'`],
    ['date', `DATE '0044-03-15 (BC)'`],
    ['date', `DATE '1900-02-28'`],
    ['long', `-9223372036854775808`],
  ])('%s %s is read back from RETURN_STATS', async (type, sql) => {
    const file = await writeOne({
      schema: icebergSchema([{ name: 'v', type }]),
      relation: `(SELECT ${sql} AS v)`,
    })
    const expected = type === 'long' ? 'v' : type === 'date' ? `v - DATE '1970-01-01'` : 'epoch_us(v)'
    const [row] = await rowsOf(`SELECT (${expected})::VARCHAR AS v FROM (SELECT ${sql} AS v)`)
    expect(String(boundOf(type, file.lowerBounds))).toBe(row?.['v'])
    expect(String(boundOf(type, file.upperBounds))).toBe(row?.['v'])
  })

  test('a statistic that cannot be read is an error, not a bound', () => {
    expect(() => parseStatistic('timestamptz', '2001-01-08 06:00:00+02')).toThrow(InvalidInput)
  })
})

describe('refusals', () => {
  const day = partitionedBy([2, 'd', 'day'])
  test.each([unpartitioned, day])('of infinite instants, partitioned or not', async (spec) => {
    const relation = `(SELECT 'x' AS key, TIMESTAMPTZ '-infinity' AS ts, 1 AS n)`
    await expect(write({ schema: events, relation, spec })).rejects.toThrow(
      '"ts" (timestamptz) holds -infinity',
    )
  })

  test('of a timestamp without a zone for an instant, whatever the session', async () => {
    const relation = `(SELECT 'x' AS key, TIMESTAMP '2001-01-08' AS ts, 1 AS n)`
    await expect(write({ schema: events, relation })).rejects.toThrow('"ts" is TIMESTAMP, the table')
    const naive = icebergSchema([{ name: 'ts', type: 'timestamp' }])
    await expect(write({ schema: naive, relation: '(SELECT make_timestamptz(0) AS ts)' })).rejects.toThrow(
      InvalidInput,
    )
  })

  test('of a missing column, of nulls where none may be, and of what no cast can turn', async () => {
    const relation = `(SELECT 'x' AS key, make_timestamptz(0) AS ts)`
    await expect(write({ schema: events, relation })).rejects.toThrow('no column "n", but key, ts')
    const schema = icebergSchema([{ name: 'key', type: 'string', required: true }])
    await expect(write({ schema, relation: '(SELECT NULL AS key)' })).rejects.toThrow(
      '1 of its values are null',
    )
    const text = `(SELECT 'x' AS key, make_timestamptz(0) AS ts, 'seven' AS n)`
    await expect(write({ schema: events, relation: text, spec: day })).rejects.toThrow('seven')
    const left = await rowsOf(
      `SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'iceberg_stage')`,
    )
    expect(left).toEqual([])
  })
})

describe('reading', () => {
  test('columns are found by id: renamed, widened, reordered, added, some of them', async () => {
    const old = icebergSchema([
      { name: 'a', type: 'int' },
      { name: 'b', type: 'float' },
    ])
    const files = await write({ schema: old, relation: '(SELECT 7 AS a, 0.5 AS b)' })
    const schema: Schema = {
      type: 'struct',
      'schema-id': 1,
      fields: [
        { id: 2, name: 'a', required: false, type: 'double' },
        { id: 3, name: 'new "one"', required: false, type: 'string' },
        { id: 1, name: "it's", required: false, type: 'long' },
      ],
    }
    expect(await rowsOf(`SELECT * FROM ${read(schema, files)}`)).toEqual([
      { a: 0.5, 'new "one"': null, "it's": '7' },
    ])
    expect(await rowsOf(`SELECT * FROM ${read(schema, files, ["it's"])}`)).toEqual([{ "it's": '7' }])
    expect(
      await rowsOf(`SELECT count(*) AS n FROM ${read(schema, files)} WHERE "it's" = 7 AND a < 1`),
    ).toEqual([{ n: '1' }])
    expect(() => read(schema, files, ['b'])).toThrow(
      `There is no column "b". The columns are a, new "one", it's.`,
    )
  })

  test('no files: no rows, right types', async () => {
    const schema = icebergSchema([
      { name: 'ts', type: 'timestamptz' },
      { name: 'v', type: { type: 'list', element: 'float', 'element-required': true } },
    ])
    expect(await rowsOf(`SELECT * FROM ${read(schema, [])}`)).toEqual([])
    const types = await rowsOf(`DESCRIBE SELECT * FROM ${read(schema, [])}`)
    expect(types.map((row) => row['column_type'])).toEqual(['TIMESTAMP WITH TIME ZONE', 'FLOAT[]'])
  })

  test('odd folders are no patterns, hive columns or escapes', async () => {
    const odd = `${directory}/[a] *? 'q' "d" %20 {b} ñ/key=hive`
    await mkdir(localPath(directory), { recursive: true })
    const relation = `(SELECT 'x' AS key, make_timestamptz(0) AS ts, 1 AS n)`
    const files = await write({ schema: events, relation, directory: odd, fileNamePrefix: "it's" })
    expect(files[0]?.filePath).toBe(`${odd}/it's-00000.parquet`)
    expect(await rowsOf(`SELECT key, n FROM ${read(events, files)}`)).toEqual([{ key: 'x', n: '1' }])
  })

  test('two writers into one directory do not meet', async () => {
    const relation = `(SELECT 'x' AS key, make_timestamptz(0) AS ts, 1 AS n)`
    const first = await writeOne({ schema: events, relation })
    const second = await writeOne({ schema: events, relation })
    expect(first.filePath).not.toBe(second.filePath)
  })
})

describe('rewriting', () => {
  const spec = partitionedBy([2, 'd', 'day'])
  const relation = `(SELECT 'k' AS key, make_timestamptz(i) AS ts, i AS n FROM range(10) r(i)
    UNION ALL SELECT 'null', NULL, 100)`
  test.each<[string, [bigint, bigint][], number[]]>([
    ['after is outside, up to is inside', [[2n, 5n]], [0, 1, 2, 6, 7, 8, 9, 100]],
    ['several ranges', [[-1n, 0n], [7n, 99n]], [1, 2, 3, 4, 5, 6, 7, 100]], // prettier-ignore
    ['everything but null', [[-1n, 9n]], [100]],
    ['nothing', [], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100]],
  ])('%s', async (_name, ranges, kept) => {
    const file = await writeOne({ schema: events, relation })
    const files = await rewriteOutside(connection, {
      schema: events,
      spec,
      file,
      column: 'ts',
      ranges: ranges.map(([after, upTo]) => ({ after, upTo })),
      directory,
      localPath,
      orderBy: ['ts'],
    })
    const rows = await rowsOf(`SELECT n::INT AS n FROM ${read(events, files)} ORDER BY n`)
    expect(rows.map(({ n }) => n)).toEqual(kept)
    expect(files.map(({ partition }) => partition['d'])).toEqual(kept.length === 1 ? [null] : [0, null])
  })

  test('no row left, no file', async () => {
    const file = await writeOne({
      schema: events,
      relation: `(SELECT 'k' AS key, make_timestamptz(5) AS ts, 1 AS n)`,
    })
    const ranges = [{ after: 4n, upTo: 5n }]
    const target = { directory, localPath, orderBy: [], schema: events, spec }
    expect(await rewriteOutside(connection, { ...target, file, column: 'ts', ranges })).toEqual([])
  })
})

describe('schemas', () => {
  test('ids: columns first, then elements; names that DuckDB cannot tell apart are refused', () => {
    const schema = icebergSchema([
      { name: 'v', type: { type: 'list', element: 'float', 'element-required': false } },
      { name: "it's", type: 'long', required: true, identifier: true },
    ])
    expect(schema.fields.map(({ id, required }) => [id, required])).toEqual([[1, false], [2, true]]) // prettier-ignore
    expect(schema['identifier-field-ids']).toEqual([2])
    expect(fieldIds(schema)).toBe(`{'v': {__duckdb_field_id: 1, element: 3}, 'it''s': 2}`)
    expect(() => icebergSchema([{ name: 'a', type: 'int' }, { name: 'A', type: 'int' }])).toThrow('"A" is named twice') // prettier-ignore
  })

  test('every type of DuckDB has one of Iceberg or is refused', () => {
    expect(columnType('USMALLINT')).toBe('int')
    expect(columnType('TIMESTAMP WITH TIME ZONE')).toBe('timestamptz')
    expect(columnType('FLOAT[8]')).toEqual({ type: 'list', element: 'float', 'element-required': false })
    expect(() => columnType('HUGEINT')).toThrow('HUGEINT has no place in a table')
  })
})

test('DuckDB knows how many rows the files have', async () => {
  const relation = `(SELECT 'k' AS key, make_timestamptz(i) AS ts, i AS n FROM range(54321) AS numbers(i))`
  const file = await writeOne({ schema: events, relation })
  const [plan] = await rowsOf(`EXPLAIN SELECT n FROM ${read(events, [file, file])}`)
  expect(JSON.stringify(plan)).toMatch(/~108,?642 rows/)
})
