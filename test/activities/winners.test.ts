/** Which rows a load takes (rules 4 and 9), from tables of many files on the real engines, against a plain search. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { onlineRowsOf } from '../../activities/onlineRows.ts'
import { selectWinners } from '../../activities/winners.ts'
import {
  icebergSchema,
  quoteLiteral,
  writeDataFiles,
  type Snapshot,
  type Table,
} from '../../iceberg/index.ts'
import { entity, feature, parquet, queryGroup, type BoundGroup } from '../../model/index.ts'
import { openDuckDb, query, type DuckDb } from '../../offline/index.ts'
import { eachRow, type OnlineRow } from '../../online/index.ts'
import { openTestCatalog, type TestCatalog } from '../iceberg/testCatalog.ts'
import { randomFrom } from '../offline/random.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('winners')
const seed = randomInt(2 ** 31)
let lake: TestCatalog
let duckdb: DuckDb
let connection: DuckDBConnection
let tables = 0

const bound: BoundGroup = {
  group: queryGroup({
    name: 'shops',
    version: 1,
    owner: 'test',
    description: 'Shops by a name and a number',
    entity: entity({ name: 'shop', keys: { name: 'string', number: 'int64' } }),
    sources: [parquet({ name: 'orders', path: 'nowhere', timestamp: 'at' })],
    every: '1d',
    sql: 'SELECT 1',
    features: { price: feature('float64'), seen: feature('timestamp') },
  }),
  keys: [
    { name: 'name', type: 'string' },
    { name: 'number', type: 'int64' },
  ],
  features: [
    { name: 'price', type: 'float64' },
    { name: 'seen', type: 'timestamp' },
  ],
}
const schema = icebergSchema([
  { name: 'name', type: 'string', required: true },
  { name: 'number', type: 'long', required: true },
  { name: 'event_timestamp', type: 'timestamptz', required: true },
  { name: 'created_timestamp', type: 'timestamptz' },
  { name: 'run_id', type: 'string', required: true },
  { name: 'price', type: 'double' },
  { name: 'seen', type: 'timestamptz' },
])
const spec = {
  'spec-id': 0,
  fields: [{ 'source-id': 3, 'field-id': 1000, name: 'day', transform: 'day' }],
}

beforeAll(async () => {
  lake = await openTestCatalog()
  duckdb = await openDuckDb({ memoryLimit: '300MB', threads: 2, tempDirectory: join(folder, 'spill') })
  connection = await duckdb.connect()
})

afterAll(async () => {
  connection?.closeSync()
  await duckdb?.close()
  await lake?.close()
})

interface Version {
  readonly name: string
  readonly number: bigint
  readonly event: bigint
  /** Null: never known. */
  readonly created: bigint | null
  readonly run: string
  /** As DuckDB reads it: every float with its sign. */
  readonly price: string
}

const makeTable = () =>
  lake.catalog.createTable({ namespace: 'lake', name: `shops_${(tables += 1)}` }, { schema, spec })

async function append(table: Table, versions: readonly Version[]): Promise<Snapshot> {
  const rows = versions.map(
    ({ name, number, event, created, run, price }) =>
      `(${quoteLiteral(name)}, ${number}::BIGINT, make_timestamptz(${event}), make_timestamptz(${created}::BIGINT), ${quoteLiteral(run)}, '${price}'::DOUBLE, make_timestamptz(${event}))`,
  )
  const names = schema.fields.map(({ name }) => name)
  const files = await writeDataFiles(connection, {
    schema,
    spec,
    relation: `(FROM (VALUES ${rows.join(', ')}) AS rows(${names.join(', ')}))`,
    orderBy: ['name', 'number', 'event_timestamp'],
    directory: `${table.location}/data`,
    localPath: (location) => lake.fileIO.localPath(location),
  })
  return table.append({ ref: 'main', files })
}

async function winners(table: Table, snapshot: Snapshot, since: Snapshot | null): Promise<OnlineRow[]> {
  const into = `winners_${(tables += 1)}`
  const localPath = (location: string) => lake.fileIO.localPath(location)
  const count = await selectWinners(connection, { table, bound, snapshot, since, localPath, into })
  const rows: OnlineRow[] = []
  for await (const batch of onlineRowsOf(connection, into, bound, 100)) rows.push(...eachRow(batch))
  expect(rows).toHaveLength(count)
  return rows
}

const textOf = (keys: readonly unknown[], event: bigint | null, price: unknown) =>
  JSON.stringify([...keys.map(String), String(event), Object.is(price, -0) ? '-0' : String(price)])
const texts = (rows: readonly OnlineRow[]) =>
  rows.map((row) => textOf(row.keys, row.eventTimestampMicros, row.values?.[0])).sort()

const numberOf = (text: string) => (text === '-inf' ? -Infinity : Number(text))

/** The greatest event, then the greatest created timestamp, then the greatest run of every entity that has one. */
function served(versions: readonly Version[]): string[] {
  const best = new Map<string, Version>()
  const isLess = (a: Version, b: Version) => {
    if (a.event !== b.event) return a.event < b.event
    return a.created === b.created ? a.run < b.run : (a.created ?? 0n) < (b.created ?? 0n)
  }
  for (const version of versions.filter(({ created }) => created !== null)) {
    const key = `${version.name} ${version.number}`
    const known = best.get(key)
    if (known === undefined || isLess(known, version)) best.set(key, version)
  }
  return [...best.values()]
    .map(({ name, number, event, price }) => textOf([name, number], event, numberOf(price)))
    .sort()
}

const names = [
  '',
  'a',
  'exactly 12 b',
  'thirteen byte',
  'zwölf Zeichen, und noch viele mehr',
  '𝒜'.repeat(13),
  'a name that is longer than four pieces of twelve characters each are together: é𝒜',
]

function randomVersions(count: number): Version[] {
  const { below, pick } = randomFrom(seed)
  return Array.from({ length: count }, (_, at) => ({
    name: pick(names),
    number: BigInt(below(5)),
    event: BigInt(below(6)) * 43_200_000_000n,
    created: below(5) === 0 ? null : BigInt(below(3)),
    // No two rows are equal in all that decides.
    run: `run-${String(at).padStart(4, '0')}`,
    // Not 0 beside -0: DuckDB's Parquet writer makes one of them where it writes a dictionary.
    price: pick(['-0', '7', 'nan', '-inf', '0.1', String(at)]),
  }))
}

test(`every entity is served its greatest row, bit for bit, whatever the files and keys (seed ${seed})`, async () => {
  const table = await makeTable()
  const versions = randomVersions(300)
  await append(table, versions.slice(0, 150))
  const snapshot = await append(table, versions.slice(150))
  expect(texts(await winners(table, snapshot, null))).toEqual(served(versions))
})

test('a load that catches up takes those alone who are in files that came or went, and buries who has no row', async () => {
  const table = await makeTable()
  const version = (name: string, event: bigint, created: bigint | null, price: string): Version => ({
    ...{ name, number: 1n, event, created, run: 'r', price },
  })
  const first = await append(table, [
    version('stays', 1n, 1n, '1'),
    version('grows', 1n, 1n, '2'),
    version('newest is elsewhere', 90_000_000_000n, 1n, '3'),
  ])
  const second = await append(table, [
    version('grows', 2n, 1n, '-0'),
    version('newest is elsewhere', 2n, 1n, '4'),
    version('never known', 2n, null, '5'),
  ])
  const rows = await winners(table, second, first)
  expect(texts(rows)).toEqual(
    [
      textOf(['grows', 1n], 2n, -0),
      textOf(['newest is elsewhere', 1n], 90_000_000_000n, 3),
      textOf(['never known', 1n], null, undefined),
    ].sort(),
  )
  expect(rows.find(({ keys }) => keys[0] === 'never known')).toMatchObject({ values: null })
  const [again] = await query(
    connection,
    "SELECT count(*) AS places FROM duckdb_tables() WHERE table_name LIKE '%places'",
  )
  expect(again?.['places']).toBe(0n)
})
