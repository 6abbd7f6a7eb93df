/**
 * Tables of days and buckets, by keys of every type, held against PyIceberg: its hash, its reading of our files, and
 * above all its filters, which find nothing at all where a bucket's number is wrong.
 */
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import fc from 'fast-check'
import type { Kysely } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucketOfFile } from '../../iceberg/buckets.ts'
import type { Catalog } from '../../iceberg/catalog/catalog.ts'
import { sqlCatalog, type CatalogTables } from '../../iceberg/catalog/sql.ts'
import { openSqlite } from '../../iceberg/catalog/sqlite.ts'
import { readDataFiles } from '../../iceberg/duckdb/reader.ts'
import { rewriteOutside } from '../../iceberg/duckdb/rewrite.ts'
import { bucketSql } from '../../iceberg/duckdb/transformSql.ts'
import { writeDataFiles } from '../../iceberg/duckdb/writer.ts'
import { localFileIO } from '../../iceberg/fileio/local.ts'
import { fileMightMatch, type Filter } from '../../iceberg/mightMatch.ts'
import { planScan } from '../../iceberg/scan.ts'
import { icebergSchema } from '../../iceberg/schema.ts'
import { encodeBound, InvalidInput, type SingleValue } from '../../iceberg/singleValue.ts'
import type { Table } from '../../iceberg/table.ts'
import { applyTransform, bucketOfHash, murmur3 } from '../../iceberg/transforms.ts'
import type { DataFile, PartitionSpec, PrimitiveType } from '../../iceberg/types.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { compareRows, differences, rowsOf, startPyIceberg } from './pyiceberg.ts'

const folder = temporaryFolder('buckets')
const warehouse = `file://${folder}/warehouse`
const fileIO = localFileIO()
const localPath = (location: string): string => fileIO.localPath(location)

const python = startPyIceberg()
let database: Kysely<CatalogTables>
let catalog: Catalog
let connection: DuckDBConnection
let attempts = 0

beforeAll(async () => {
  const path = join(folder, 'catalog.db')
  database = await openSqlite<CatalogTables>(path)
  catalog = await sqlCatalog({ name: 'shop', db: database, fileIO, warehouse })
  await catalog.createNamespace('lake')
  connection = await (await DuckDBInstance.create(':memory:')).connect()
  await python.open({ name: 'shop', uri: `sqlite:///${path}`, warehouse })
})

afterAll(async () => {
  await python.close()
  connection.closeSync()
  await database.destroy()
})

type KeyType = 'string' | 'long' | 'int'
const count = 4
const hour = 3_600_000_000n
const start = BigInt(Date.parse('2001-01-08T00:00:00Z')) * 1000n
const at = (hours: number): bigint => start + BigInt(hours) * hour

/** Texts of every length that a hash's tail can have, numbers at the ends of their types and around zero. */
const keys: Record<KeyType, readonly SingleValue[]> = {
  string: [
    '',
    'A',
    'é',
    'SFO',
    '京',
    'KSFO',
    '東京',
    'Zürich',
    "it's",
    'a long name of an airport',
    '😀',
    '7',
  ],
  long: [
    0n,
    1n,
    -1n,
    7n,
    34n,
    -34n,
    2n ** 32n,
    2n ** 53n + 1n,
    -(2n ** 53n) - 1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ],
  int: [0, 1, -1, 7, 34, -34, 65_536, -65_536, 2 ** 31 - 1, -(2 ** 31)],
}
const types = Object.keys(keys) as KeyType[]
const sqlTypes = { string: 'VARCHAR', long: 'BIGINT', int: 'INTEGER' }

const schemaOf = (type: KeyType) =>
  icebergSchema([
    { name: 'event_timestamp', type: 'timestamptz', required: true },
    { name: 'key', type, required: true },
    { name: 'value', type: 'long' },
  ])
const byDayAndBucket: PartitionSpec = {
  'spec-id': 0,
  fields: [
    { 'source-id': 1, 'field-id': 1000, name: 'event_timestamp_day', transform: 'day' },
    { 'source-id': 2, 'field-id': 1001, name: 'key_bucket', transform: `bucket[${count}]` },
  ],
}

/** A row of every key in every sixth hour. */
function rowsIn(type: KeyType, from: number, to: number, salt = 0): string {
  const texts = keys[type].map((key) => `'${String(key).replaceAll("'", "''")}'`).join(', ')
  return `(SELECT make_timestamptz(${start} + h * ${hour}) AS event_timestamp, CAST(k AS ${sqlTypes[type]}) AS key,
    h * 100 + length(k) + ${salt} AS value FROM range(${from}, ${to}, 6) r(h), (SELECT unnest([${texts}]) AS k) ks)`
}

const createTable = (name: string, type: KeyType): Promise<Table> =>
  catalog.createTable({ namespace: 'lake', name }, { schema: schemaOf(type), spec: byDayAndBucket })

const target = (table: Table) => ({
  schema: table.schema,
  spec: table.spec,
  orderBy: ['key', 'event_timestamp'],
  directory: `${table.location}/data/attempt-${++attempts}`,
  localPath,
})
const write = (table: Table, relation: string): Promise<DataFile[]> =>
  writeDataFiles(connection, { ...target(table), relation })

const nameOf = ({ identifier }: Table): string => `${identifier.namespace}.${identifier.name}`
const compare = (table: Table, filters: readonly Filter[]): Promise<string[]> =>
  differences({ table, name: nameOf(table), filters, connection, python, localPath })

const compareWith = async (relation: string, table: Table): Promise<string[]> =>
  compareRows(
    'PyIceberg',
    await rowsOf(connection, `SELECT * FROM ${relation}`),
    await python.read({ table: nameOf(table) }),
  )

const isKey = (value: SingleValue): Filter => ({ column: 'key', op: 'eq', value })
const someFilters = (type: KeyType): Filter[] => [
  ...keys[type].map(isKey),
  { column: 'key', op: 'in', value: keys[type].slice(0, 2) },
  { column: 'key', op: 'in', value: keys[type].slice(5) },
  { column: 'key', op: 'gt', value: keys[type][1] ?? 0 },
  { op: 'and', filters: [isKey(keys[type][3] ?? 0), { column: 'event_timestamp', op: 'le', value: at(24) }] },
  { op: 'or', filters: [isKey(keys[type][4] ?? 0), { column: 'event_timestamp', op: 'gt', value: at(42) }] },
]

test.each<[PrimitiveType, fc.Arbitrary<SingleValue>]>([
  ['string', fc.string({ unit: 'binary', maxLength: 40 })],
  ['long', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ['int', fc.integer()],
  ['date', fc.integer({ min: -100_000, max: 100_000 })],
  ['timestamptz', fc.bigInt({ min: -(2n ** 55n), max: 2n ** 55n })],
  ['timestamp', fc.bigInt({ min: -(2n ** 55n), max: 2n ** 55n })],
  ['binary', fc.uint8Array({ maxLength: 40 })],
])('PyIceberg puts a %s into the same bucket', async (type, value) => {
  const values = fc.sample(value, 500)
  const sent = values.map((each) => (each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each))
  for (const transform of ['bucket[1]', 'bucket[4]', 'bucket[1000]', 'bucket[999999999]']) {
    const theirs = await python.transform({ transform, type, values: sent })
    const differing = values.findIndex(
      (each, index) => applyTransform(transform, type, each) !== theirs[index],
    )
    expect(differing === -1 ? null : sent[differing], transform).toBeNull()
  }
})

test('one filter judges files of several specs, each by its own', () => {
  const schema = schemaOf('string')
  const unknown = { valueCounts: new Map(), nullValueCounts: new Map(), nanValueCounts: new Map() }
  const bounds = { columnSizes: new Map(), lowerBounds: new Map(), upperBounds: new Map() }
  const sizes = { filePath: 'f', recordCount: 1n, fileSizeInBytes: 1n }
  for (const value of keys.string) {
    const filter: Filter = { column: 'key', op: 'in', value: [value] }
    for (const buckets of [4, 7]) {
      const transform = `bucket[${buckets}]`
      const field = { 'source-id': 2, 'field-id': 1001, name: 'key_bucket', transform }
      const mightMatch = Array.from({ length: buckets }, (_, number) => {
        const file = { ...sizes, ...unknown, ...bounds, specId: 0, partition: { key_bucket: number } }
        return fileMightMatch(file, { 'spec-id': 0, fields: [field] }, schema, filter)
      })
      const number = applyTransform(transform, 'string', value)
      expect(mightMatch.flatMap((might, at) => (might ? [at] : []))).toEqual([number])
    }
  }
})

describe.each(types)('a table of days and buckets of a %s', (type) => {
  test('is read by PyIceberg as we read it, by every key, through append and replacement', async () => {
    const table = await createTable(`by_${type}`, type)
    const files = await write(table, rowsIn(type, 0, 48))
    expect(new Set(files.map(({ partition }) => partition['key_bucket'])).size).toBeGreaterThan(2)
    await table.append({ ref: 'main', files })
    expect(await compareWith(rowsIn(type, 0, 48), table)).toEqual([])
    expect(await compare(table, someFilters(type))).toEqual([])

    // From the midst of the first day to the midst of the second: every file lies across an edge.
    const ranges = [{ after: at(9), upTo: at(30) }]
    const rewritten: string[] = []
    const replacement = rowsIn(type, 12, 31, 7)
    for (let time = 0; time < 2; time++) {
      await table.replaceRanges({
        ref: 'main',
        column: 'event_timestamp',
        ranges,
        files: await write(table, replacement),
        rewriteOutside: async (file) => {
          const rest = await rewriteOutside(connection, {
            ...target(table),
            file,
            column: 'event_timestamp',
            ranges,
          })
          rewritten.push(file.filePath)
          expect(rest.map(({ partition }) => partition)).toEqual([file.partition])
          return rest
        },
      })
    }
    expect(rewritten.sort()).toEqual(files.map(({ filePath }) => filePath).sort())
    const expected = `(SELECT * FROM ${rowsIn(type, 0, 48)} WHERE epoch_us(event_timestamp) NOT BETWEEN ${at(9) + 1n} AND ${at(30)}
      UNION ALL SELECT * FROM ${replacement})`
    expect(await compareWith(expected, table)).toEqual([])
    expect(await compare(table, someFilters(type))).toEqual([])
  })

  test('is planned by bucket, and its files say in which they are', async () => {
    const table = await createTable(`planned_${type}`, type)
    await table.append({ ref: 'main', files: await write(table, rowsIn(type, 0, 48)) })
    const all = (await planScan(table)).files
    const bucketOf = (value: SingleValue) => applyTransform(`bucket[${count}]`, type, value)
    const buckets = (files: readonly DataFile[]) =>
      new Set(files.map((file) => bucketOfFile(table.metadata, file, 'key')?.number))
    for (const key of keys[type]) {
      const { files } = await planScan(table, { filter: isKey(key) })
      expect([files.length, ...buckets(files)]).toEqual([2, bucketOf(key)])
    }
    const [one, other] = keys[type].filter((key) => bucketOf(key) !== bucketOf(keys[type][0] ?? 0))
    const some = [one ?? 0, other ?? 0]
    const { files } = await planScan(table, { filter: { column: 'key', op: 'in', value: some } })
    expect(buckets(files)).toEqual(new Set(some.map(bucketOf)))
    expect(files.length).toBeLessThan(all.length)

    for (const file of all) {
      const bucket = bucketOfFile(table.metadata, file, 'key')
      expect(bucket?.count).toBe(count)
      const relation = readDataFiles({ schema: table.schema, files: [file], localPath })
      const found = await connection.runAndReadAll(
        `SELECT DISTINCT ${bucketSql(connection, count, type, 'key')} FROM ${relation}`,
      )
      expect(found.getRows()).toEqual([[bucket?.number]])
    }
  })

  test('takes what PyIceberg appends and deletes, key by key', async () => {
    const table = await createTable(`shared_${type}`, type)
    await table.append({ ref: 'main', files: await write(table, rowsIn(type, 0, 48)) })
    const rows = keys[type].map((key, index) => [String(at(3)), String(key), String(index)])
    await python.append({ table: nameOf(table), rows })
    await python.delete({ table: nameOf(table), filter: isKey(keys[type][1] ?? 0) })
    await table.refresh()
    expect((await python.read({ table: nameOf(table) })).length).toBe(9 * (keys[type].length - 1))
    expect(await compare(table, someFilters(type))).toEqual([])
  })

  test.each<[string, (key: SingleValue, bucket: number) => number]>([
    ['that is one too high', (_key, bucket) => (bucket + 1) % count],
    [
      'of a hash of other bytes',
      (key, bucket) => {
        const bytes = type === 'string' ? Buffer.from(String(key), 'utf16le') : wrongBytes(key)
        const wrong = bucketOfHash(murmur3(bytes), count)
        return wrong === bucket ? (bucket + 1) % count : wrong
      },
    ],
  ])('that was written with a bucket %s cannot be read by key', async (name, mistaken) => {
    const table = await createTable(`${type}_${name.replaceAll(' ', '_')}`, type)
    const files: DataFile[] = []
    for (const key of keys[type]) {
      const literal = `CAST('${String(key).replaceAll("'", "''")}' AS ${sqlTypes[type]})`
      const own = await write(table, `(SELECT * FROM ${rowsIn(type, 0, 12)} WHERE key = ${literal})`)
      files.push(...own.map((file) => withBucket(file, mistaken(key, Number(file.partition['key_bucket'])))))
    }
    await table.append({ ref: 'main', files })
    expect(await compareWith(rowsIn(type, 0, 12), table)).toEqual([])
    const filters = keys[type].map(isKey)
    for (const filter of filters) expect(await python.read({ table: nameOf(table), filter })).toEqual([])
    const found = await compare(table, filters)
    const sentences = (start: string) => found.filter((sentence) => sentence.startsWith(start))
    expect(sentences('PyIceberg, ')).toHaveLength(filters.length)
    expect(sentences('our plan, ')).toHaveLength(filters.length)
    expect(found.filter((sentence) => / partition key_bucket \d, rows \{\d\}/.test(sentence))).toHaveLength(
      files.length,
    )
  })
})

/** Big-endian, where the specification has little-endian. */
const wrongBytes = (key: SingleValue): Uint8Array => encodeBound('long', BigInt(String(key))).toReversed()

const withBucket = (file: DataFile, bucket: number): DataFile => ({
  ...file,
  partition: { ...file.partition, key_bucket: bucket },
})

describe('the bucket of a row and of a file', () => {
  test('is null for null, in files and in SQL', async () => {
    const schema = icebergSchema([
      { name: 'event_timestamp', type: 'timestamptz' },
      { name: 'key', type: 'string' },
    ])
    const table = await catalog.createTable(
      { namespace: 'lake', name: 'nulls' },
      { schema, spec: byDayAndBucket },
    )
    const relation = `(SELECT make_timestamptz(${start}) AS event_timestamp, unnest([NULL, 'A']) AS key)`
    const files = await writeDataFiles(connection, { ...target(table), relation })
    const a = applyTransform(`bucket[${count}]`, 'string', 'A')
    const found = files.map((file) => bucketOfFile(table.metadata, file, 'key'))
    expect(found).toEqual([{ number: a, count }, { number: null, count }]) // prettier-ignore
    await table.append({ ref: 'main', files })
    expect(await compare(table, [isKey('A'), { column: 'key', op: 'is_null' }])).toEqual([])
    const sql = bucketSql(connection, count, 'string', 'key')
    const rows = await connection.runAndReadAll(`SELECT ${sql} FROM ${relation}`)
    expect(rows.getRows()).toEqual([[null], [a]])
  })

  test('is not known where a file’s own spec has none', async () => {
    const table = await createTable('evolving', 'long')
    const [file] = await write(table, rowsIn('long', 0, 1))
    if (!file) throw new Error('no file was written')
    const old: PartitionSpec = {
      'spec-id': 7,
      fields: [{ 'source-id': 2, 'field-id': 1002, name: 'key_cut', transform: 'truncate[4]' }],
    }
    const specs = [...table.metadata['partition-specs'], old]
    const metadata = { ...table.metadata, 'partition-specs': specs }
    expect(bucketOfFile(metadata, { ...file, specId: 7 }, 'key')).toBeNull()
    expect(bucketOfFile(metadata, file, 'key')).not.toBeNull()
    expect(bucketOfFile(metadata, file, 'event_timestamp')).toBeNull()
    expect(() => bucketOfFile(metadata, file, 'nobody')).toThrow('no column "nobody"')
  })

  test('is asked for on a connection that has never heard of buckets, and again', async () => {
    const fresh = await (await DuckDBInstance.create(':memory:')).connect()
    for (const key of [34n, -1n]) {
      const sql = bucketSql(fresh, 100, 'long', String(key))
      const found = await fresh.runAndReadAll(`SELECT ${sql}, typeof(${sql})`)
      expect(found.getRows()).toEqual([[applyTransform('bucket[100]', 'long', key), 'INTEGER']])
    }
    fresh.closeSync()
  })

  test('is refused for what cannot be hashed alike everywhere', () => {
    expect(() => bucketSql(connection, 4, 'double', 'key')).toThrow(InvalidInput)
    expect(() => bucketSql(connection, 0, 'long', 'key')).toThrow('"bucket[0]" is not supported')
    expect(() => bucketSql(connection, 2.5, 'long', 'key')).toThrow(InvalidInput)
  })
})
