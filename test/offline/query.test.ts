/** Query groups and SQL sources: whose times rows carry, what lies outside is refused, and which SQL is no SQL of ours. */
import { describe, expect, test } from 'vitest'
import {
  asServed,
  count,
  entity,
  feature,
  featureGroup,
  parquet,
  queryGroup,
  sqlSource,
  sum,
  type DeclaredFeature,
  type FeatureGroup,
} from '../../model/index.ts'
import { bindGroup } from '../../offline/index.ts'
import { computeDays, filesOf, inputError, workbench } from './workbench.ts'

const bench = workbench()
const thing = entity({ name: 'thing', keys: { k: 'string' } })

/** Prices of two things on three days, each loaded some time after it was set. */
async function prices(name = 'prices') {
  const path = await bench.writeParquet(
    `${name}.parquet`,
    `SELECT k, CAST(t AS TIMESTAMP) AS t, CAST(loaded AS TIMESTAMPTZ) AS loaded, CAST(price AS DOUBLE) AS price, CAST(n AS BIGINT) AS n FROM (VALUES
       ('a', '2001-01-01 06:00:00', '2001-01-01 06:05:00+00', 1.5, 1),
       ('a', '2001-01-01 06:00:00', '2001-01-05 00:00:00+00', 1.75, 2),
       ('b', '2001-01-02 00:00:00', '2001-01-02 00:10:00+00', 2.5, 3),
       ('b', '2001-01-02 00:00:00.000001', NULL, 3.5, 4),
       ('a', '2001-01-04 00:00:00', '2001-01-04 00:01:00+00', 4.5, 5)) AS v(k, t, loaded, price, n)`,
  )
  return parquet({ name, path, timestamp: 't', timeZone: 'UTC' })
}

const asTheyAre =
  'SELECT k, t AS event_timestamp, loaded, price FROM prices WHERE t > $from AND t <= $to -- as they are'

async function group(
  sql: string,
  more: Partial<Parameters<typeof queryGroup>[0]> = {},
  features: Record<string, DeclaredFeature> = { price: feature('float64') },
): Promise<FeatureGroup> {
  return queryGroup({
    ...{ name: 'asked', version: 1, owner: 'o@example.com', description: 'd', entity: thing },
    ...{ sources: [await prices()], every: '1d', availableAfter: '1h', sql, features, ...more },
  })
}

const computed = async (one: FeatureGroup, days = 3) =>
  (await computeDays(bench, one, days)).map((row) =>
    [row['k'], row['event_timestamp'], row['created_timestamp'], row['price']].map(String),
  )

describe('times of rows', () => {
  test('own event timestamps, created when their interval was due, all versions', async () => {
    expect(await computed(await group(asTheyAre))).toEqual([
      ['a', '2001-01-01 06:00:00+00', '2001-01-02 01:00:00+00', '1.5'],
      ['a', '2001-01-01 06:00:00+00', '2001-01-02 01:00:00+00', '1.75'],
      ['a', '2001-01-04 00:00:00+00', '2001-01-04 01:00:00+00', '4.5'],
      // The end of an interval is its own, the first microsecond behind it is the next one's.
      ['b', '2001-01-02 00:00:00+00', '2001-01-02 01:00:00+00', '2.5'],
      ['b', '2001-01-02 00:00:00.000001+00', '2001-01-03 01:00:00+00', '3.5'],
    ])
  })

  test('a created column of its own counts where it is later; a null one was never known', async () => {
    const created = (await computed(await group(asTheyAre, { created: 'loaded' }))).map(([, , at]) => at)
    expect(created).toEqual([
      '2001-01-02 01:00:00+00',
      '2001-01-05 00:00:00+00',
      '2001-01-04 01:00:00+00',
      '2001-01-02 01:00:00+00',
      'null',
    ])
  })

  test('a created column that is the moment of serving stands alone', async () => {
    const created = (await computed(await group(asTheyAre, { created: asServed('loaded') }))).map(
      ([, , at]) => at,
    )
    expect(created).toEqual([
      '2001-01-01 06:05:00+00',
      '2001-01-05 00:00:00+00',
      '2001-01-04 00:01:00+00',
      '2001-01-02 00:10:00+00',
      'null',
    ])
  })

  test('the query runs once for each interval, not for the range', async () => {
    const counted = await group(
      'SELECT k, $to AS event_timestamp, count(*) AS price FROM prices WHERE t > $from AND t <= $to GROUP BY k',
      {},
      { price: feature('int64') },
    )
    expect((await computed(counted)).map(([k, at, , n]) => [k, at, n])).toEqual([
      ['a', '2001-01-02 00:00:00+00', '2'],
      ['a', '2001-01-04 00:00:00+00', '1'],
      ['b', '2001-01-02 00:00:00+00', '1'],
      ['b', '2001-01-03 00:00:00+00', '1'],
    ])
  })

  test('rows outside their interval fail the run with their number and the first', async () => {
    const message = await inputError(
      computed(
        await group('SELECT k, t AS event_timestamp, price FROM prices WHERE t >= $from AND t <= $to'),
      ),
    )
    expect(message).toMatch(
      /asked_v1: 1 rows .* 2001-01-02 00:00:00\+00 in the interval from 2001-01-02T00:00:00Z \(exclusive\) to 2001-01-03T00:00:00Z/,
    )
    const nulls = await group('SELECT k, CAST(NULL AS TIMESTAMPTZ) AS event_timestamp, price FROM prices')
    expect(await inputError(computed(nulls, 1))).toMatch(/5 rows .* event_timestamp null/)
  })

  test('a null key fails the run', async () => {
    const nulls = await group(
      'SELECT CAST(NULL AS VARCHAR) AS k, $to AS event_timestamp, 1.5::DOUBLE AS price FROM prices',
    )
    expect(await inputError(computed(nulls, 1))).toMatch(
      /5 rows of the query have no k, a key of entity thing/,
    )
  })
})

describe('refused when it is bound', () => {
  const bound = async (
    sql: string,
    more: Partial<Parameters<typeof queryGroup>[0]> = {},
    features?: Record<string, DeclaredFeature>,
  ) => {
    const one = await group(sql, more, features)
    return inputError(bindGroup(bench.connection, one, await filesOf(...one.sources)))
  }

  test.each([
    [
      'SELECT k, $to AS event_timestamp FROM prices',
      /no column "price", which feature price needs. It yields k, event_timestamp/,
    ],
    ['SELECT $to AS event_timestamp, price FROM prices', /no column "k", which key k needs/],
    ['SELECT k, price FROM prices', /no column "event_timestamp", which every row needs/],
    [
      "SELECT k, TIMESTAMP '2001-01-01' AS event_timestamp, price FROM prices",
      /yields event_timestamp as TIMESTAMP, which is not TIMESTAMPTZ/,
    ],
    [
      "SELECT k, $to AS event_timestamp, 'x' AS price FROM prices",
      /feature price: the query yields price as VARCHAR, which is not DOUBLE. Write CAST/,
    ],
    [
      'SELECT 1 AS k, $to AS event_timestamp, price FROM prices',
      /key k: the query yields k as INTEGER, which is not VARCHAR/,
    ],
    ['SELECT nothing FROM prices', /Referenced column "nothing" not found/],
    ['SELEKT k', /no SELECT that DuckDB can read/],
    ['SELECT 1; SELECT 2', /not one SELECT/],
    ['DROP TABLE prices', /no SELECT that DuckDB can read/],
    [
      "SELECT * FROM 'elsewhere.parquet'",
      /reads elsewhere\.parquet, which is none of its sources \(prices\)/,
    ],
    [
      "SELECT * FROM read_parquet('elsewhere.parquet')",
      /reads read_parquet\(…\) itself, which no plan can pin/,
    ],
    ['SELECT * FROM information_schema.tables', /reads information_schema\.tables/],
    ['SELECT k, now() AS event_timestamp, price FROM prices', /calls now, whose answer changes/],
    [
      'SELECT k, CURRENT_TIMESTAMP AS event_timestamp, price FROM prices',
      /calls current_timestamp|calls get_current_timestamp/,
    ],
    ['SELECT k, $to AS event_timestamp, random() AS price FROM prices', /calls random/],
    [
      'WITH x AS (SELECT uuid() AS k) SELECT k, $to AS event_timestamp, 1.5::DOUBLE AS price FROM x',
      /calls uuid/,
    ],
    ['SELECT k, $to AS event_timestamp, price FROM prices TABLESAMPLE 10%', /takes a sample/],
    [
      'SELECT k, $until AS event_timestamp, price FROM prices',
      /names the parameter \$until; there is \$from and \$to/,
    ],
  ])('%s', async (sql, sentence) => {
    expect(await bound(sql)).toMatch(sentence)
  })

  test('a created column that is not there', async () => {
    expect(await bound('SELECT k, $to AS event_timestamp, price FROM prices', { created: 'loaded' })).toMatch(
      /no column "loaded", which created needs/,
    )
  })

  test('an int64 as float64, which would round', async () => {
    expect(await bound('SELECT k, $to AS event_timestamp, n AS price FROM prices')).toMatch(
      /price as BIGINT, which is not DOUBLE/,
    )
  })
})

describe('SQL sources', () => {
  const keyed = async (sql: string) =>
    sqlSource({ name: 'dear', sources: [await prices()], sql, timestamp: 't' })

  test('are usable as the source of aggregates, of other SQL sources and of queries', async () => {
    const dear = await keyed('SELECT * FROM prices WHERE price > 1.5')
    const dearest = sqlSource({
      name: 'dearest',
      sources: [dear],
      sql: 'SELECT k, t, n FROM dear WHERE n <> 3',
      timestamp: 't',
    })
    const aggregated = featureGroup({
      ...{ name: 'summed', version: 1, owner: 'o@example.com', description: 'd', entity: thing },
      ...{
        source: dearest,
        every: '1d' as const,
        features: { rows: count({ over: '1d' }), n: sum('n', { over: '1d' }) },
      },
    })
    const rows = (await computeDays(bench, aggregated, 3)).map(
      ({ k, event_timestamp: at, rows: counted, n }) => [k, at, counted, n].map(String),
    )
    expect(rows).toEqual([
      ['a', '2001-01-02 00:00:00+00', '1', '2'],
      ['a', '2001-01-03 00:00:00+00', '0', 'null'],
      ['b', '2001-01-03 00:00:00+00', '1', '4'],
      ['b', '2001-01-04 00:00:00+00', '0', 'null'],
    ])
    const asked = await group(
      'SELECT k, t AS event_timestamp, 0.5::DOUBLE AS price FROM dearest WHERE t > $from AND t <= $to',
      { sources: [dearest] },
    )
    expect((await computed(asked)).map(([k, at]) => [k, at])).toEqual([
      ['a', '2001-01-01 06:00:00+00'],
      ['a', '2001-01-04 00:00:00+00'],
      ['b', '2001-01-02 00:00:00.000001+00'],
    ])
  })

  test('name their files once, whichever way they are reached', async () => {
    const base = await prices()
    const one = sqlSource({ name: 'one', sources: [base], sql: 'SELECT * FROM prices', timestamp: 't' })
    const files = await filesOf(
      one,
      base,
      sqlSource({ name: 'two', sources: [one, base], sql: 'SELECT * FROM one', timestamp: 't' }),
    )
    expect(files.map(({ source }) => source)).toEqual(['prices'])
  })

  test.each([
    ['SELECT * FROM other', /source dear: the SQL reads other, which is none of its sources/],
    [
      'SELECT * FROM prices WHERE t > $from',
      /source dear: the SQL names the parameter \$from; there is none/,
    ],
    ['SELECT k FROM prices', /source dear: there is no timestamp column "t"/],
    ['SELECT k, t::TIMESTAMP AS t FROM prices', /source dear: column t is TIMESTAMP, without a time zone/],
  ])('%s is refused', async (sql, sentence) => {
    const one = featureGroup({
      ...{
        name: 'g',
        version: 1,
        owner: 'o@example.com',
        description: 'd',
        entity: thing,
        source: await keyed(sql),
      },
      ...{ every: '1d' as const, features: { rows: count({ over: '1d' }) } },
    })
    expect(await inputError(bindGroup(bench.connection, one, await filesOf(...one.sources)))).toMatch(
      sentence,
    )
  })
})
