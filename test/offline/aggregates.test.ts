/** Every aggregate on small sets of values that anybody can check, and through DuckDB's binder for every type. */
import { DuckDBListValue } from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import {
  approxDistinctCount,
  bottomK,
  count,
  distinctCount,
  first,
  firstK,
  gt,
  histogram,
  isNotNull,
  last,
  lastK,
  parquet,
  quantile,
  sql,
  standardDeviation,
  sum,
  topK,
  variance,
  type AggregateFeature,
} from '../../model/index.ts'
import { bindGroup } from '../../offline/index.ts'
import { computeDays, filesOf, groupOn, inputError, workbench } from './workbench.ts'

const bench = workbench()
const over = '1d' as const
let files = 0

/** Events of 1 January 2001 as `(hour, v)` with more columns after them; equal hours are equal times. */
async function sourceOf(rows: string, columns = 'h, v') {
  const path = await bench.writeParquet(
    `aggregates-${files++}.parquet`,
    `SELECT TIMESTAMP '2001-01-01' + INTERVAL (h) HOUR AS t, 'a' AS k, * EXCLUDE h FROM (VALUES ${rows}) AS e(${columns})`,
  )
  return parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC', completeFrom: '2001-01-01' })
}

const plain = (value: unknown): unknown =>
  value instanceof DuckDBListValue
    ? value.items.map(plain)
    : typeof value === 'bigint'
      ? Number(value)
      : value

async function valuesOf(rows: string, features: Record<string, AggregateFeature>, columns?: string) {
  const [row = {}] = await computeDays(bench, groupOn(await sourceOf(rows, columns), features))
  return Object.fromEntries(Object.keys(features).map((name) => [name, plain(row[name])]))
}

const refusal = async (rows: string, feature: AggregateFeature) =>
  inputError(valuesOf(rows, { tested: feature }))

describe('values', () => {
  test('variance and deviation are those of a sample', async () => {
    const features = { var: variance('v', { over }), dev: standardDeviation('v', { over }) }
    expect(
      await valuesOf('(1, 2), (2, 4), (3, 4), (4, 4), (5, 5), (6, 5), (7, 7), (8, 9), (9, NULL)', features),
    ).toEqual({ var: 32 / 7, dev: Math.sqrt(32 / 7) })
    expect(await valuesOf('(1, 2.5::DOUBLE), (2, NULL)', features)).toEqual({ var: null, dev: null })
    const endless = "(1, 1::DOUBLE), (2, 'Infinity'::DOUBLE), (3, 2::DOUBLE)"
    expect(await valuesOf(endless, features)).toEqual({ var: NaN, dev: NaN })
    // A difference of sums of squares would have no digit left.
    expect(await valuesOf('(1, 1e9::DOUBLE), (2, 1e9::DOUBLE + 1), (3, 1e9::DOUBLE + 2)', features)).toEqual({
      var: 1,
      dev: 1,
    })
  })

  test('quantiles are interpolated linearly', async () => {
    const at = (q: number) => quantile('v', q, { over })
    const features = { least: at(0), tenth: at(0.1), median: at(0.5), ninth: at(0.9), most: at(1) }
    expect(await valuesOf('(1, 40), (2, 10), (3, NULL), (4, 30), (5, 20)', features)).toEqual({
      least: 10,
      tenth: 13,
      median: 25,
      ninth: 37,
      most: 40,
    })
  })

  test('events of one time have one order: by the value', async () => {
    const rows = ['(1, 5)', '(1, 2)', '(2, NULL)', '(3, 7)', '(4, 9)', '(4, 8)', '(5, NULL)']
    const features = {
      first: first('v', { over }),
      last: last('v', { over }),
      first_3: firstK('v', 3, { over }),
      last_3: lastK('v', 3, { over }),
    }
    const expected = { first: 2, last: 9, first_3: [2, 5, 7], last_3: [9, 8, 7] }
    expect(await valuesOf(rows.join(), features)).toEqual(expected)
    expect(await valuesOf(rows.toReversed().join(), features)).toEqual(expected)
  })

  test('the greatest and the smallest, with equal ones, NaN and both zeros', async () => {
    const features = { top: topK('v', 3, { over }), bottom: bottomK('v', 9, { over }) }
    expect(await valuesOf('(1, 2), (2, 3), (3, 3), (4, NULL), (5, 1)', features)).toEqual({
      top: [3, 3, 2],
      bottom: [1, 2, 3, 3],
    })
    const special = "(1, 'NaN'::DOUBLE), (2, -0.0::DOUBLE), (3, 0.0::DOUBLE), (4, 'Infinity'::DOUBLE)"
    expect(await valuesOf(special, features)).toEqual({
      top: [NaN, Infinity, 0],
      bottom: [0, 0, Infinity, NaN],
    })
    expect(await valuesOf("(1, 'b'), (2, 'é'), (3, 'a')", features)).toEqual({
      top: ['é', 'b', 'a'],
      bottom: ['a', 'b', 'é'],
    })
  })

  test('a histogram has its edges in the bucket above, the last in the last, and nothing from outside', async () => {
    const features = { buckets: histogram('v', [0, 1, 2.5], { over }) }
    const rows = "(1, 0), (2, 0.5), (3, 1), (4, 2.5), (5, 2.6), (6, -0.1), (7, NULL), (8, 'NaN'::DOUBLE)"
    expect(await valuesOf(rows, features)).toEqual({ buckets: [2, 2] })
  })

  test('distinct values', async () => {
    const features = { exact: distinctCount('v', { over }), about: approxDistinctCount('v', { over }) }
    const rows = "(1, 'NaN'::DOUBLE), (2, 'NaN'::DOUBLE), (3, 0), (4, -0.0::DOUBLE), (5, NULL)"
    expect(await valuesOf(rows, features)).toEqual({ exact: 2, about: 2 })
    const many = Array.from({ length: 20_000 }, (_, index) => `(${index % 20}, ${index % 5000})`).join()
    const { exact, about } = await valuesOf(many, features)
    expect(exact).toBe(5000)
    expect(Math.abs(Number(about) - 5000)).toBeLessThan(1500)
  })

  test('an empty window is null; counts are 0 and a histogram is zeros', async () => {
    const where = gt('v', 100)
    const features = {
      top: topK('v', 2, { over, where }),
      newest: lastK('v', 2, { over, where }),
      last: last('v', { over, where }),
      median: quantile('v', 0.5, { over, where }),
      var: variance('v', { over, where }),
      distinct: distinctCount('v', { over, where }),
      buckets: histogram('v', [0, 1, 2], { over, where }),
    }
    expect(await valuesOf('(1, 1), (2, 2)', features)).toEqual({
      ...{ top: null, newest: null, last: null, median: null, var: null },
      ...{ distinct: 0, buckets: [0, 0] },
    })
  })

  test('the k first and last of many events, over several windows', async () => {
    const events = Array.from({ length: 200 }, (_, hour) => `(${hour}, ${hour})`)
    const features = {
      last_5: lastK('v', 5, { over: '2d' }),
      last_70: lastK('v', 70, { over: '3d' }),
      first_20: firstK('v', 20, { over: '2d', where: gt('v', 9) }),
      first_3: firstK('v', 3, { over: 'unbounded' }),
    }
    const hours = (from: number, to: number) =>
      Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index)
    const rows = await computeDays(bench, groupOn(await sourceOf(events.join()), features), 9)
    expect(rows.map((row) => Object.keys(features).map((name) => plain(row[name])))).toEqual(
      Array.from({ length: 9 }, (_, day) => {
        const end = 24 * (day + 1)
        const since = (length: number) => hours(Math.max(0, end - length), Math.min(end, 200))
        return [
          since(48).toReversed().slice(0, 5),
          since(72).toReversed().slice(0, 70),
          since(48)
            .filter((value) => value > 9)
            .slice(0, 20),
          [0, 1, 2],
        ]
      }),
    )
  })

  test('an unbounded window counts from where the source is complete, and its entity never falls out', async () => {
    const source = await sourceOf('(-1, 100), (0, 1), (30, 2)')
    const features = { total: sum('v', { over: 'unbounded' }), values: lastK('v', 9, { over: 'unbounded' }) }
    const rows = await computeDays(bench, groupOn(source, features), 5)
    expect(rows.map(({ total, values }) => [plain(total), plain(values)])).toEqual([
      [1, [1]],
      ...Array.from({ length: 4 }, () => [3, [2, 1]]),
    ])
  })
})

describe('conditions in SQL', () => {
  const columns = 'h, v, city, "order", c0'
  const rows =
    "(1, 1, 'Rome', 5, 'x'), (2, 2, 'rome', 6, 'y'), (3, 3, NULL, 7, 'x'), (4, 4, 'Oslo', NULL, 'x')"
  const counted = async (text: string) =>
    (await valuesOf(rows, { met: count({ over, where: sql(text) }), all: count({ over }) }, columns))['met']

  test.each([
    ["lower(city) = 'rome'", 2],
    ['"order" * v > 10 OR city IS NULL', 2],
    ["c0 = 'x' -- a name that the compiler uses itself", 3],
    ["t >= TIMESTAMPTZ '2001-01-01 03:00:00Z'", 2],
    ['CASE WHEN V % 2 = 0 THEN true END', 2],
    ["city = 'v'' \"order\"'", 0],
  ])('%s', async (text, met) => expect(await counted(text)).toBe(met))

  test.each([
    ['price > 10', /sql\("price > 10"\): Binder Error: .*"price" not found/],
    ['v', /sql\("v"\): it is INTEGER, not a condition/],
    ['v >', /sql\("v >"\): the SQL is no SELECT that DuckDB can read/],
    ['v > 1), (v > 2', /Parser Error/],
    ['v > 1; DROP TABLE x', /sql\(.*\): the SQL/],
    ['sum(v) > 1', /WHERE clause cannot contain aggregates/],
    ['row_number() OVER () = 1', /WHERE clause cannot contain window functions/],
    ['v > random()', /the SQL calls random, whose answer changes from run to run/],
    ['t < now()', /the SQL calls now/],
    ['v IN (SELECT v FROM other)', /the SQL reads other, which is none of its sources/],
    ['event_us > 0', /Binder Error/],
    ['k0 IS NULL', /Binder Error/],
  ])('%s is refused', async (text, message) => {
    const said = await refusal('(1, 1)', count({ over, where: sql(text) }))
    expect(said).toMatch(/^feature group tested_v1: feature tested: /)
    expect(said).toMatch(message)
  })
})

describe('types', () => {
  const everywhere: Record<string, AggregateFeature> = {
    first: first('v', { over }),
    last: last('v', { over }),
    distinct: distinctCount('v', { over }),
    about: approxDistinctCount('v', { over }),
    top: topK('v', 2, { over, where: isNotNull('v') }),
    bottom: bottomK('v', 2, { over }),
    oldest: firstK('v', 2, { over }),
    newest: lastK('v', 2, { over }),
  }
  const numeric: Record<string, AggregateFeature> = {
    median: quantile('v', 0.5, { over }),
    var: variance('v', { over }),
    dev: standardDeviation('v', { over }),
    buckets: histogram('v', [0, 1], { over }),
  }

  test.each([
    ['1::TINYINT', 'int32', true],
    ['1::INTEGER', 'int32', true],
    ['1::UINTEGER', 'int64', true],
    ['1::BIGINT', 'int64', true],
    ['1::FLOAT', 'float32', true],
    ['1::DOUBLE', 'float64', true],
    ['1::DECIMAL(10,2)', 'float64', true],
    ["'x'", 'string', false],
    ['true', 'boolean', false],
    ["TIMESTAMPTZ '2001-01-01 00:00:00+00'", 'timestamp', false],
  ])('%s', async (value, type, isNumber) => {
    const features = isNumber ? { ...everywhere, ...numeric } : everywhere
    const group = groupOn(await sourceOf(`(1, ${value})`), features)
    const { features: bound } = await bindGroup(bench.connection, group, await filesOf(...group.sources))
    const list = `list<${type}>`
    expect(Object.fromEntries(bound.map((feature) => [feature.name, feature.type]))).toEqual({
      ...{ first: type, last: type, distinct: 'int64', about: 'int64' },
      ...{ top: list, bottom: list, oldest: list, newest: list },
      ...(isNumber ? { median: 'float64', var: 'float64', dev: 'float64', buckets: 'list<int64>' } : {}),
    })
    const [row = {}] = await computeDays(bench, group)
    const { top, first: earliest } = row
    expect(plain(top)).toEqual([plain(earliest)])
  })

  test('columns that do not fit are refused with the feature', async () => {
    expect(await refusal("(1, 'x')", quantile('v', 0.5, { over }))).toMatch(
      /feature tested: quantile of column v: the column is VARCHAR, not a number/,
    )
    expect(await refusal("(1, 'x')", variance('v', { over }))).toMatch(/variance of column v/)
    expect(await refusal("(1, 'x')", histogram('v', [0, 1], { over }))).toMatch(/histogram of column v/)
    expect(await refusal('(1, {x: 1})', topK('v', 1, { over }))).toMatch(
      /topK of column v: values of type .* have no order/,
    )
    expect(await refusal('(1, {x: 1})', last('v', { over }))).toMatch(
      /last of column v: no feature can hold values of type/,
    )
    expect(await refusal('(1, 1)', lastK('w', 1, { over }))).toMatch(/source events has no column "w"/)
  })

  test('a default that the column cannot have is refused when the group is bound', async () => {
    expect(await refusal("(1, 'x')", last('v', { over, default: 7 }))).toBe(
      'feature group tested_v1: feature tested: the default 7 is no string. Give it well-formed text, or leave the default away.',
    )
  })

  test('a value that does not fit its type fails the run and names the feature', async () => {
    const huge = '(1, 18446744073709551615::UBIGINT)'
    expect(await refusal(huge, topK('v', 1, { over }))).toMatch(
      /feature tested: a value does not fit list<int64>/,
    )
  })
})
