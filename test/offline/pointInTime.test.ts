/** The point-in-time join against the naive oracle, on random tables and labels. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/index.ts'
import { openDuckDb, query, type DuckDb } from '../../offline/index.ts'
import { withGroupJoin, type JoinOptions } from '../../offline/pointInTime.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { served, type FeatureRow, type Label, type Rules } from './joinOracle.ts'
import { randomFrom, type Random } from './random.ts'

const folder = temporaryFolder('point-in-time')
const seed = randomInt(2 ** 31)
let duckdb: DuckDb
let connection: DuckDBConnection

beforeAll(async () => {
  duckdb = await openDuckDb({ memoryLimit: '300MB', threads: 2, tempDirectory: join(folder, 'spill') })
  connection = await duckdb.connect()
})

afterAll(async () => {
  connection?.closeSync()
  await duckdb?.close()
})

const names = ['a', 'a|', '|a', 'b', 'c']
/** Both are the same number to JavaScript. */
const numbers = [2n ** 53n, 2n ** 53n + 1n, -1n]

/** Half of what happens lies before 1970. */
const begin = -30n

const micros = (at: bigint) => `make_timestamptz(${at})`

function randomRules({ below, pick }: Random): Rules {
  return {
    ttl: pick([null, 1n, 5n, 20n, 400n]),
    moments: new Map(
      ['r1', 'r2'].map((run) => [run, below(5) === 0 ? null : begin + BigInt(below(60))] as const),
    ),
    knowledgeCutoff: below(4) > 0,
  }
}

/** Mostly as a cadence makes them, with corrections, and sometimes anything at all. */
function randomRows({ below, pick }: Random): FeatureRow[] {
  const isWild = below(3) === 0
  // Of entities with many rows the newest known one is looked up in another way.
  const areFew = below(4) === 0
  const step = areFew ? 1 : pick([1, 5, 10])
  return Array.from({ length: (areFew ? 80 : 5) + below(60) }, () => {
    const event = begin + BigInt(isWild ? below(60) : step * below(Math.floor(60 / step)))
    const lag = pick([0n, 0n, 1n, 3n, BigInt(below(40))])
    return {
      keys: areFew ? [pick(names.slice(0, 2)), 2n ** 53n] : [pick(names), pick(numbers)],
      event,
      created: below(12) === 0 ? null : isWild ? begin + BigInt(below(80)) : event + lag,
      run: pick(['h1', 'h2', 'r1', 'r2']),
      values: [below(8) === 0 ? null : below(5), below(3)],
    }
  })
}

function randomLabels({ below, pick }: Random): Label[] {
  return Array.from({ length: 100 }, () => ({
    keys: [below(15) === 0 ? null : pick([...names, 'nobody']), below(15) === 0 ? null : pick(numbers)],
    at: begin + BigInt(below(100) - 10),
  }))
}

async function joined(
  rows: readonly FeatureRow[],
  labels: readonly Label[],
  rules: Rules,
  options: Partial<JoinOptions> = {},
): Promise<Map<number, readonly (number | null)[]>> {
  const literal = (value: bigint | string | null) =>
    value === null ? 'NULL' : typeof value === 'string' ? quoteLiteral(value) : String(value)
  await query(
    connection,
    `CREATE OR REPLACE TEMP TABLE published AS SELECT * FROM (VALUES ${rows
      .map(
        ({ keys: [name = '', number = 0n], event, created, run, values }) =>
          `(${literal(name)}, ${number}::BIGINT, ${micros(event)}, ${created === null ? 'NULL' : micros(created)}, '${run}', ${values.map((value) => `${value ?? 'NULL'}::DOUBLE`).join(', ')})`,
      )
      .join(', ')}) AS t("shop name", number, event_timestamp, created_timestamp, run_id, price, "k0")`,
  )
  await query(
    connection,
    `CREATE OR REPLACE TEMP TABLE asked AS SELECT label_row::BIGINT AS label_row, label_time, "its name"::VARCHAR AS "its name", n::BIGINT AS n FROM (VALUES ${labels
      .map(
        ({ keys: [name = null, number = null], at }, row) =>
          `(${row}, ${micros(at)}, ${literal(name)}, ${literal(number)})`,
      )
      .join(', ')}) AS t(label_row, label_time, "its name", n)`,
  )
  await query(connection, 'DROP TABLE IF EXISTS found')
  const count = await withGroupJoin(
    connection,
    {
      labelKeys: ['its name', 'n'],
      keys: ['shop name', 'number'],
      features: ['price', 'k0'],
      relation: (columns) => `(SELECT ${columns.map(quoteIdentifier).join(', ')} FROM published)`,
      ttlMicros: rules.ttl,
      ...rules,
    },
    { labels: 'asked', into: 'found', ...options },
    (join) => join.run(),
  )
  const found = await query(connection, 'SELECT label_row, f0, f1 FROM found')
  expect(found).toHaveLength(count)
  return new Map(found.map(({ label_row, f0, f1 }) => [Number(label_row), [f0, f1] as (number | null)[]]))
}

function expectedOf(rows: readonly FeatureRow[], labels: readonly Label[], rules: Rules) {
  return new Map(
    labels.flatMap((label, row) => {
      const winner = served(rows, label, rules)
      return winner === null ? [] : [[row, winner.values] as const]
    }),
  )
}

const sorted = (found: ReadonlyMap<number, unknown>) => [...found].sort(([a], [b]) => a - b)

test(`11,000 labels find the row that the oracle serves them, in steps and without (seed ${seed})`, async () => {
  const random = randomFrom(seed)
  let matched = 0
  for (let world = 0; world < 110; world++) {
    const [rows, labels, rules] = [randomRows(random), randomLabels(random), randomRules(random)]
    const expected = sorted(expectedOf(rows, labels, rules))
    matched += expected.length
    const withoutSteps = world % 3 === 0
    const found = await joined(rows, labels, rules, { withoutSteps })
    expect(sorted(found), `world ${world} ${withoutSteps ? 'without steps' : 'in steps'}`).toEqual(expected)
  }
  expect(matched).toBeGreaterThan(1000)
  const left = await query(
    connection,
    "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'found %'",
  )
  expect(left).toEqual([])
})

test('a large table whose rows have timestamps of their own is joined as exactly', async () => {
  const rows = `(SELECT n % 7 AS k, make_timestamptz(n * 1000) AS event_timestamp, make_timestamptz(n * 1000 + 1) AS created_timestamp, 'r' AS run_id, n FROM range(150000) AS numbers(n))`
  await query(
    connection,
    `CREATE OR REPLACE TEMP TABLE asked AS SELECT n AS label_row, make_timestamptz(n * 300007 % 150000000) AS label_time, n % 9 AS k FROM range(2000) AS numbers(n)`,
  )
  await query(connection, 'DROP TABLE IF EXISTS found')
  const group = {
    ...{
      labelKeys: ['k'],
      keys: ['k'],
      features: ['n'],
      ttlMicros: null,
      moments: new Map(),
      knowledgeCutoff: true,
    },
    relation: (columns: readonly string[]) => `(SELECT ${columns.join(', ')} FROM ${rows})`,
  }
  const count = await withGroupJoin(connection, group, { labels: 'asked', into: 'found' }, (join) =>
    join.run(),
  )
  const [wrong] = await query(
    connection,
    `SELECT count(*) AS labels FROM asked JOIN found USING (label_row)
     WHERE f0 <> (epoch_us(label_time) - 1) // 1000 - ((epoch_us(label_time) - 1) // 1000 - k) % 7`,
  )
  expect(count).toBeGreaterThan(1500)
  expect(wrong?.['labels']).toBe(0n)
})
