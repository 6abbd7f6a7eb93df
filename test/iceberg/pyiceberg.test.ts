/** PyIceberg lists, filters and reads the tables that we write, and we those that it writes. */
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import type { Kysely } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Catalog } from '../../iceberg/catalog/catalog.ts'
import { sqlCatalog, type CatalogTables } from '../../iceberg/catalog/sql.ts'
import { openSqlite } from '../../iceberg/catalog/sqlite.ts'
import { rewriteOutside } from '../../iceberg/duckdb/rewrite.ts'
import { writeDataFiles } from '../../iceberg/duckdb/writer.ts'
import { localFileIO } from '../../iceberg/fileio/local.ts'
import type { Filter } from '../../iceberg/mightMatch.ts'
import { icebergSchema } from '../../iceberg/schema.ts'
import { encodeBound } from '../../iceberg/singleValue.ts'
import { sweepMetadata } from '../../iceberg/sweepMetadata.ts'
import type { Table } from '../../iceberg/table.ts'
import type { DataFile, PartitionSpec, Schema } from '../../iceberg/types.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { compareRows, differences, floatText, rowsOf, startPyIceberg } from './pyiceberg.ts'

const folder = temporaryFolder('pyiceberg with a space')
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
  await catalog.createNamespace('flights')
  connection = await (await DuckDBInstance.create(':memory:')).connect()
  await python.open({ name: 'shop', uri: `sqlite:///${path}`, warehouse })
})

afterAll(async () => {
  await python.close()
  connection.closeSync()
  await database.destroy()
})

const schema = icebergSchema([
  { name: 'origin', type: 'string', required: true },
  { name: 'destination', type: 'string', required: true },
  { name: 'event_timestamp', type: 'timestamptz', required: true },
  { name: 'created_timestamp', type: 'timestamptz' },
  { name: 'departures', type: 'long' },
  { name: 'mean_delay', type: 'double' },
  { name: 'late_share', type: 'float' },
  { name: 'embedding', type: { type: 'list', element: 'float', 'element-required': false } },
  { name: 'day', type: 'date' },
  { name: 'holiday', type: 'boolean' },
  { name: 'gates', type: 'int' },
  { name: 'note', type: 'string' },
])
const byDay: PartitionSpec = {
  'spec-id': 0,
  fields: [{ 'source-id': 3, 'field-id': 1000, name: 'event_timestamp_day', transform: 'day' }],
}

const start = BigInt(Date.parse('2001-01-08T00:00:00Z')) * 1000n
const hour = 3_600_000_000n
const zurich = 'Zürich–Kloten Flughafen'
const smileys = '😀'.repeat(20)
const origins = ['ATL', zurich, '東京国際空港（羽田空港）第三ターミナル国際線', smileys]

/** Hourly rows of every origin for two destinations, stamped from `from` to before `to` (hours after the start). */
const hourly = (from: number, to: number, salt = 0): string => `(
  SELECT o.origin, d.destination, make_timestamptz(${start} + h * ${hour} + (h % 3 - 1)) AS event_timestamp,
    make_timestamptz(${start} + (h + 1) * ${hour} + 1) AS created_timestamp,
    CASE WHEN h % 5 = 0 THEN NULL ELSE 9007199254740993 + h * (length(o.origin) + ${salt}) END AS departures,
    CASE WHEN h = 7 THEN 'nan' WHEN h = 31 THEN 'inf' WHEN h = 55 THEN '-inf' WHEN h % 7 = 3 THEN NULL
      ELSE (h - 20.5) / 3 END::DOUBLE AS mean_delay,
    (h % 10) / 10::FLOAT AS late_share, [h::FLOAT, NULL, 0.1::FLOAT] AS embedding,
    CAST(make_timestamp(${start} + h * ${hour}) AS DATE) AS day, h % 2 = 0 AS holiday, h::INTEGER - 40 AS gates,
    CASE WHEN h % 4 = 0 THEN NULL ELSE repeat('né', 1 + h::INTEGER % 12) END AS note
  FROM range(${from}, ${to}) r(h),
    (SELECT unnest([${origins.map((origin) => `'${origin}'`).join(', ')}]) AS origin) o,
    (SELECT unnest(['JFK', 'it''s']) AS destination) d)`

const at = (hours: number, micros = 0n): bigint => start + BigInt(hours) * hour + micros
const where = (
  column: string,
  op: 'eq' | 'lt' | 'le' | 'gt' | 'ge',
  value: string | number | bigint,
): Filter => ({
  column,
  op,
  value,
})
const filters: Filter[] = [
  ...origins.map((origin) => where('origin', 'eq', origin)),
  { op: 'and', filters: [where('origin', 'eq', zurich), where('destination', 'eq', "it's")] },
  { op: 'or', filters: [where('origin', 'eq', 'nobody'), where('event_timestamp', 'eq', at(30, -1n))] },
  { column: 'origin', op: 'in', value: ['ATL', smileys] },
  where('origin', 'gt', 'Zürich'),
  where('origin', 'lt', 'B'),
  where('event_timestamp', 'lt', at(24)),
  where('event_timestamp', 'le', at(24, -1n)),
  where('event_timestamp', 'gt', at(48)),
  { op: 'and', filters: [where('event_timestamp', 'ge', at(23)), where('event_timestamp', 'le', at(25))] },
  where('departures', 'eq', 9007199254740993n + 11n * 3n),
  where('departures', 'lt', 9007199254741000n),
  where('mean_delay', 'lt', -3.5),
  where('mean_delay', 'eq', Infinity),
  where('late_share', 'ge', 0.5),
  where('gates', 'gt', 20),
  where('day', 'eq', 11_331),
  { column: 'note', op: 'is_null' },
  { column: 'departures', op: 'not_null' },
  where('note', 'ge', 'né'.repeat(11)),
]
const fewFilters = [
  where('origin', 'eq', zurich),
  where('event_timestamp', 'le', at(24, -1n)),
  where('mean_delay', 'lt', -3.5),
]

const createTable = (name: string, spec = byDay): Promise<Table> =>
  catalog.createTable({ namespace: 'flights', name }, { schema, spec })

const write = (table: Table, relation: string): Promise<DataFile[]> =>
  writeDataFiles(connection, {
    schema: table.schema,
    spec: table.spec,
    relation,
    orderBy: ['origin', 'destination', 'event_timestamp'].filter((name) => hasColumn(table.schema, name)),
    directory: `${table.location}/data/attempt-${++attempts}`,
    localPath,
  })

const hasColumn = ({ fields }: Schema, name: string): boolean => fields.some((field) => field.name === name)

const append = async (table: Table, relation: string, ref = 'main') =>
  table.append({ ref, files: await write(table, relation) })

const compare = (table: Table, ref?: string, some: readonly Filter[] = filters): Promise<string[]> => {
  const name = `${table.identifier.namespace}.${table.identifier.name}`
  return differences({ table, name, ref, filters: some, connection, python, localPath })
}

/** Holds what PyIceberg reads against rows that DuckDB made and that never were in a table. */
const compareWith = async (relation: string, table: Table, ref?: string): Promise<string[]> => {
  const seen = await python.read({ table: `flights.${table.identifier.name}`, ref })
  return compareRows('PyIceberg', await rowsOf(connection, `SELECT * FROM ${relation}`), seen)
}

/** The hours from `from` to before `to`, of which those with `after < event_timestamp <= upTo` were replaced. */
const replaced = (from: number, to: number, after: bigint, upTo: bigint, by: string): string =>
  `(SELECT * FROM ${hourly(from, to)} WHERE epoch_us(event_timestamp) NOT BETWEEN ${after + 1n} AND ${upTo}
    UNION ALL SELECT * FROM ${by})`

const replace = async (table: Table, after: bigint, upTo: bigint, relation: string, ref = 'main') => {
  const ranges = [{ after, upTo }]
  return table.replaceRanges({
    ref,
    column: 'event_timestamp',
    ranges,
    files: await write(table, relation),
    rewriteOutside: (file) =>
      rewriteOutside(connection, {
        schema: table.schema,
        spec: table.spec,
        file,
        column: 'event_timestamp',
        ranges,
        directory: `${table.location}/data/edge-${++attempts}`,
        localPath,
        orderBy: ['origin', 'destination', 'event_timestamp'],
      }),
  })
}

describe('PyIceberg reads what we write', () => {
  test('an empty table', async () => {
    const table = await createTable('empty')
    expect(await python.list({ namespace: 'flights' })).toContain('flights.empty')
    expect(await python.refs({ table: 'flights.empty' })).toMatchObject({ refs: {}, current: null })
    expect(await python.read({ table: 'flights.empty' })).toEqual([])
    expect(await compare(table, undefined, [])).toEqual([])
  })

  test('appended rows: keys, instants, numbers, nulls, NaN, infinities; ids beyond 2^53', async () => {
    const table = await createTable('appended')
    await append(table, hourly(0, 50))
    await append(table, hourly(50, 80))
    expect(await compare(table)).toEqual([])
    expect(await compareWith(hourly(0, 80), table)).toEqual([])
    const seen = await python.refs({ table: 'flights.appended' })
    expect(seen.snapshots.map(({ sequenceNumber }) => sequenceNumber)).toEqual(['1', '2'])
    expect(seen.current).toBe(String(table.ref('main')))
    expect(seen.refs['main']).toBe(seen.current)
    expect(seen.history).toHaveLength(2)
    expect(seen.snapshots.some(({ id }) => BigInt(id) > 2n ** 53n)).toBe(true)
  })

  test('a thousand zeros of either sign, in lists too', async () => {
    const list = (element: 'float' | 'double') =>
      ({ type: 'list', element, 'element-required': false }) as const
    const zeros = icebergSchema([
      { name: 'n', type: 'long' },
      { name: 'f', type: 'float' },
      { name: 'd', type: 'double' },
      { name: 'fs', type: list('float') },
      { name: 'ds', type: list('double') },
    ])
    const spec: PartitionSpec = { 'spec-id': 0, fields: [] }
    const table = await catalog.createTable({ namespace: 'flights', name: 'zeros' }, { schema: zeros, spec })
    const rows = `(SELECT i AS n, IF(i % 2 = 0, '0', '-0')::FLOAT AS f, f::DOUBLE AS d, [f, NULL] AS fs, [NULL, d] AS ds
      FROM range(1000) r(i))`
    await append(table, rows)
    expect(await compareWith(rows, table)).toEqual([])
    expect(await compare(table, undefined, [])).toEqual([])
  })

  test('ranges replaced, inside days and across their edges', async () => {
    const table = await createTable('replaced')
    await append(table, hourly(0, 80))
    const rows = hourly(12, 40, 5)
    for (const time of ['once', 'twice']) {
      await replace(table, at(10), at(40), rows)
      expect(await compareWith(replaced(0, 80, at(10), at(40), rows), table), time).toEqual([])
    }
    expect(await compare(table)).toEqual([])
    const seen = await python.refs({ table: 'flights.replaced' })
    expect(seen.snapshots.map(({ operation }) => operation)).toEqual(['append', 'overwrite', 'overwrite'])
  })

  test('columns added by new ids: old files read null, new ones their values', async () => {
    const table = await createTable('widened')
    await append(table, hourly(0, 30))
    await table.addColumns([
      { name: 'cancelled', type: 'long' },
      { name: 'worst', type: { type: 'list', element: 'double', 'element-required': false } },
    ])
    const old = `(SELECT *, NULL::BIGINT AS cancelled, NULL::DOUBLE[] AS worst FROM ${hourly(0, 30)})`
    expect(await compareWith(old, table)).toEqual([])
    expect(await compare(table)).toEqual([])
    const more = `(SELECT *, 9007199254740993 AS cancelled, [mean_delay, 0.5] AS worst FROM ${hourly(30, 40)})`
    await append(table, more)
    expect(await compareWith(`(SELECT * FROM ${old} UNION ALL SELECT * FROM ${more})`, table)).toEqual([])
    expect(await compare(table, undefined, [...fewFilters, where('cancelled', 'gt', 5n)])).toEqual([])
    expect(await compare(table, undefined, [{ column: 'cancelled', op: 'is_null' }])).toEqual([])
  })

  test('a staging branch beside main, then published', async () => {
    const table = await createTable('staged')
    await append(table, hourly(0, 30))
    const main = table.ref('main')
    await table.createBranch('run_1', { from: main })
    const staged = await replace(table, at(20), at(60), hourly(21, 60, 9), 'run_1')
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    expect(await compare(table, 'run_1', fewFilters)).toEqual([])
    expect(await compareWith(hourly(0, 30), table)).toEqual([])
    const after = replaced(0, 30, at(20), at(60), hourly(21, 60, 9))
    expect(await compareWith(after, table, 'run_1')).toEqual([])
    await table.publish({
      branch: 'run_1',
      expectMain: main,
      expectBranch: staged.snapshotId,
      dropBranch: true,
    })
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    expect(await compareWith(after, table)).toEqual([])
    const seen = await python.refs({ table: 'flights.staged' })
    expect(seen.refs).toEqual({ main: String(staged.snapshotId) })
    expect(seen.history).toEqual([String(main), String(staged.snapshotId)])
  })

  test('a table whose first rows are on a branch only', async () => {
    const table = await createTable('branch_first')
    await table.createBranch('run_1', { from: null })
    const staged = await append(table, hourly(0, 5), 'run_1')
    expect(await python.read({ table: 'flights.branch_first' })).toEqual([])
    expect(await compare(table, 'run_1', fewFilters)).toEqual([])
    await table.publish({
      branch: 'run_1',
      expectMain: null,
      expectBranch: staged.snapshotId,
      dropBranch: true,
    })
    expect(await compare(table, 'main', fewFilters)).toEqual([])
  })

  test('tags and the past', async () => {
    const table = await createTable('tagged')
    const first = await append(table, hourly(0, 20))
    await table.createTag('v1', { snapshotId: first.snapshotId, maxRefAgeMs: 86_400_000 })
    await table.createTag('ever', { snapshotId: first.snapshotId })
    const second = await replace(table, at(10), at(40), hourly(11, 40, 5))
    expect(await compareWith(hourly(0, 20), table, 'v1')).toEqual([])
    expect(await compare(table, 'v1', fewFilters)).toEqual([])
    const seen = await python.refs({ table: 'flights.tagged' })
    expect(seen.tags).toEqual({ v1: 86_400_000, ever: null })
    expect(seen.refs).toMatchObject({ v1: `${first.snapshotId}`, main: `${second.snapshotId}` })
    const moments = table.metadata['snapshot-log'].map((entry) => entry['timestamp-ms'])
    expect(moments).toHaveLength(2)
    for (const ms of moments.flatMap((moment) => [moment - 1, moment, moment + 1])) {
      const theirs = await python.asOf({ table: 'flights.tagged', ms })
      expect(theirs, String(ms)).toBe(table.snapshotAsOf(ms)?.snapshotId.toString() ?? null)
    }
    expect(await table.expireTags(first.timestampMs + 86_400_001)).toEqual(['v1'])
    expect((await python.refs({ table: 'flights.tagged' })).tags).toEqual({ ever: null })
    expect(await compare(table, 'ever', fewFilters)).toEqual([])
  })

  test('buckets, identities and days together', async () => {
    const table = await createTable('bucketed', {
      'spec-id': 0,
      fields: [
        { 'source-id': 1, 'field-id': 1000, name: 'origin_bucket', transform: 'bucket[4]' },
        { 'source-id': 2, 'field-id': 1001, name: 'destination', transform: 'identity' },
        { 'source-id': 3, 'field-id': 1002, name: 'event_timestamp_day', transform: 'day' },
        { 'source-id': 5, 'field-id': 1003, name: 'departures_bucket', transform: 'bucket[2]' },
      ],
    })
    await append(table, hourly(10, 34))
    expect(await compare(table)).toEqual([])
    expect(await compareWith(hourly(10, 34), table)).toEqual([])
  })
})

describe('the comparison fails', () => {
  const someDay = filters.filter((filter) => 'column' in filter && filter.column === 'event_timestamp')

  test.each<[string, Filter[], (file: DataFile) => DataFile, RegExp]>([
    [
      'on an upper bound that is cut short and not raised',
      [where('origin', 'eq', smileys)],
      (file) => ({ ...file, upperBounds: new Map([...file.upperBounds, [1, encodeBound('string', '😀')]]) }),
      /origin: upper bound below/,
    ],
    [
      'on a wrong day in a partition tuple',
      someDay,
      (file) => ({
        ...file,
        partition: { event_timestamp_day: Number(file.partition['event_timestamp_day']) + 1 },
      }),
      /partition event_timestamp_day 11331, rows \{11330\}/,
    ],
  ])('%s', async (name, some, doctor, wrong) => {
    const table = await createTable(name.replaceAll(' ', '_'))
    const files = await write(table, hourly(1, 23))
    await table.append({ ref: 'main', files: files.map(doctor) })
    const found = await compare(table, undefined, some)
    expect(found.filter((sentence) => sentence.startsWith('PyIceberg, '))).not.toEqual([])
    expect(found.filter((sentence) => sentence.startsWith('our plan, '))).not.toEqual([])
    expect(found.join('\n')).toMatch(wrong)

    const sound = await createTable(`${name.replaceAll(' ', '_')}_not`)
    await sound.append({ ref: 'main', files })
    expect(await compare(sound, undefined, some)).toEqual([])
  })
})

describe('we read what PyIceberg writes', () => {
  const row = (origin: string, hours: number, delay: number, departures: bigint | null) => [
    origin,
    'SFO',
    String(at(hours)),
    null,
    departures === null ? null : String(departures),
    floatText(delay),
    floatText(0.5),
    null,
    '11330',
    null,
    null,
    'from Python',
  ]

  test('rows appended to and deleted from our table', async () => {
    const table = await createTable('shared')
    await append(table, hourly(0, 30))
    await python.append({
      table: 'flights.shared',
      rows: [row('東京', 2, Number.NaN, 2n ** 60n), row('ATL', 100, -0, null)],
    })
    await table.refresh()
    expect(await compare(table, 'main', [...fewFilters, where('origin', 'eq', '東京')])).toEqual([])
    expect((await python.read({ table: 'flights.shared' })).length).toBe(30 * 8 + 2)
    await python.delete({ table: 'flights.shared', filter: where('event_timestamp', 'lt', at(5)) })
    await table.refresh()
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    await replace(table, at(10), at(120), hourly(20, 25, 3))
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    await table.createBranch('run_2', { from: table.ref('main') })
    await python.append({ table: 'flights.shared', ref: 'run_2', rows: [row('BOS', 3, 1, 1n)] })
    await table.refresh()
    expect(await compare(table, 'run_2', fewFilters)).toEqual([])
    expect(await compare(table, 'main', fewFilters)).toEqual([])
  })

  test('a table from which snapshots that nothing leads to were removed, and their files swept', async () => {
    const table = await createTable('swept')
    await append(table, hourly(0, 30))
    await table.createBranch('run_1', { from: table.ref('main') })
    await table.append({ ref: 'run_1', files: [] })
    await append(table, hourly(30, 60))
    await table.dropBranch('run_1')
    expect(await table.removeUnreachable()).toBe(1)
    expect(await sweepMetadata(table, Date.now() + 1_000)).toBe(1)
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    const { snapshots, history, current } = await python.refs({ table: 'flights.swept' })
    expect(snapshots.map(({ id }) => id)).toEqual(table.snapshots().map(({ snapshotId }) => `${snapshotId}`))
    expect([history.length, current]).toEqual([2, `${table.ref('main')}`])
    await python.append({ table: 'flights.swept', rows: [row('BOS', 3, 1, 1n)] })
    await table.refresh()
    expect(await compare(table, 'main', fewFilters)).toEqual([])
  })

  test('a table that it made itself, to which we append', async () => {
    await python.create({ table: 'flights.made_by_python', schema, spec: byDay })
    await python.append({
      table: 'flights.made_by_python',
      rows: [row('ATL', 1, 2.5, 3n), row('é', 30, 4.5, 5n)],
    })
    const table = await catalog.loadTable({ namespace: 'flights', name: 'made_by_python' })
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    await append(table, hourly(20, 50))
    expect(await compare(table, 'main', fewFilters)).toEqual([])
    expect((await python.read({ table: 'flights.made_by_python' })).length).toBe(2 + 30 * 8)
  })
})
