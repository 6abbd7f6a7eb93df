/** Groups against their sources: keys, types, conditions, and the values at the borders of types. */
import { describe, expect, test } from 'vitest'
import {
  and,
  count,
  eq,
  gt,
  isIn,
  lt,
  max,
  mean,
  min,
  not,
  or,
  parquet,
  share,
  sum,
  type AggregateFeature,
  type KeyType,
} from '../../model/index.ts'
import { bindGroup, bindSource, computeRange, query } from '../../offline/index.ts'
import { computeDays, filesOf, groupOn, inputError, onlySourceOf, workbench } from './workbench.ts'

const bench = workbench()
const over = '1d' as const
const sourceOf = (path: string) => parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC' })
let files = 0
/** One event for each value of `v`, an hour apart. */
const valuesOf = (values: string, more = "'a' AS k") =>
  bench.writeParquet(
    `values-${files++}.parquet`,
    `SELECT TIMESTAMP '2001-01-01' + INTERVAL (i) HOUR AS t, v, ${more} FROM (SELECT unnest(${values}) AS v, generate_subscripts(${values}, 1) AS i)`,
  )
const featuresOf = async (values: string, features: Record<string, AggregateFeature>) =>
  (await computeDays(bench, groupOn(sourceOf(await valuesOf(values)), features)))[0]
const refusal = async (values: string, feature: AggregateFeature) =>
  inputError(featuresOf(values, { tested: feature }))

describe('types', () => {
  test.each([
    ['[1::TINYINT]', 'int64', 'float64', 'int32'],
    ['[1::USMALLINT]', 'int64', 'float64', 'int32'],
    ['[1::INTEGER]', 'int64', 'float64', 'int32'],
    ['[1::UINTEGER]', 'int64', 'float64', 'int64'],
    ['[1::BIGINT]', 'int64', 'float64', 'int64'],
    ['[1::UBIGINT]', 'int64', 'float64', 'int64'],
    ['[1::FLOAT]', 'float64', 'float64', 'float32'],
    ['[1::DOUBLE]', 'float64', 'float64', 'float64'],
    ['[1::DECIMAL(10,2)]', 'float64', 'float64', 'float64'],
    ["['x']", null, null, 'string'],
    ['[true]', null, null, 'boolean'],
    ["[TIMESTAMPTZ '2001-01-01 00:00:00+00']", null, null, 'timestamp'],
  ])('%s', async (values, sumType, meanType, minType) => {
    const source = sourceOf(await valuesOf(values))
    const numeric: Record<string, AggregateFeature> =
      sumType === null ? {} : { sum: sum('v', { over }), mean: mean('v', { over }) }
    const group = groupOn(source, {
      count: count('v', { over }),
      min: min('v', { over }),
      max: max('v', { over }),
      ...numeric,
    })
    const bound = await bindGroup(bench.connection, group, await filesOf(source))
    expect(Object.fromEntries(bound.features.map(({ name, type }) => [name, type]))).toEqual({
      count: 'int64',
      min: minType,
      max: minType,
      ...(sumType === null ? {} : { sum: sumType, mean: meanType }),
    })
    const duckdbTypes: Record<string, string> = {
      int32: 'INTEGER',
      int64: 'BIGINT',
      float32: 'FLOAT',
      float64: 'DOUBLE',
      string: 'VARCHAR',
      boolean: 'BOOLEAN',
      timestamp: 'TIMESTAMP WITH TIME ZONE',
    }
    const relation = await bindSource(bench.connection, source, await filesOf(source))
    const range = { from: Date.UTC(2001, 0, 1), to: Date.UTC(2001, 0, 2) }
    await computeRange(bench.connection, { bound, relation, range, runId: 'r', into: 'typed' })
    const columns = await query(bench.connection, 'SELECT column_name, column_type FROM (DESCRIBE typed)')
    await query(bench.connection, 'DROP TABLE typed')
    expect(columns.map((row) => [row['column_name'], row['column_type']])).toEqual([
      ['k', 'VARCHAR'],
      ['event_timestamp', 'TIMESTAMP WITH TIME ZONE'],
      ['created_timestamp', 'TIMESTAMP WITH TIME ZONE'],
      ['run_id', 'VARCHAR'],
      ...bound.features.map(({ name, type }) => [name, duckdbTypes[type]]),
    ])
  })

  test('columns that do not fit or are not there', async () => {
    const text = "['x']"
    expect(await refusal(text, sum('v', { over }))).toMatch(
      /feature group tested_v1: feature tested: sum of column v: the column is VARCHAR, not a number/,
    )
    expect(await refusal(text, mean('w', { over }))).toMatch(
      /feature tested: source events has no column "w"\. It has t, v, k/,
    )
    expect(await refusal(text, share(gt('w', 1), { over }))).toMatch(
      /feature tested: source events has no column "w"/,
    )
    expect(await refusal('[[1]]', min('v', { over }))).toMatch(
      /feature tested: min of column v: a column of type INTEGER\[\]/,
    )
    expect(await refusal("[TIMESTAMP '2001-01-01']", max('v', { over }))).toMatch(
      /a column of type TIMESTAMP has no/,
    )
  })

  test('literals that do not fit', async () => {
    const met = (values: string, condition: Parameters<typeof share>[0]) =>
      refusal(values, share(condition, { over }))
    expect(await met("['x']", eq('v', 1))).toMatch(
      /feature tested: column v is VARCHAR and cannot be compared with the number 1/,
    )
    expect(await met('[1]', eq('v', '1'))).toMatch(
      /column v is INTEGER and cannot be compared with the string "1"/,
    )
    expect(await met('[1]', isIn('v', [1, true]))).toMatch(/cannot be compared with the boolean true/)
    expect(await met('[true]', not(eq('v', 1n)))).toMatch(
      /column v is BOOLEAN and cannot be compared with the bigint 1/,
    )
  })

  test('keys', async () => {
    const keyed = async (sql: string, type: KeyType) => {
      const path = await valuesOf('[1]', `${sql} AS k`)
      return computeDays(bench, groupOn(sourceOf(path), { events: count({ over }) }, { k: type }))
    }
    expect(await keyed("'x'", 'string')).toMatchObject([{ k: 'x' }])
    expect(await keyed('9007199254740993::BIGINT', 'int64')).toMatchObject([{ k: 9007199254740993n }])
    expect(await keyed('7::UTINYINT', 'int64')).toMatchObject([{ k: 7n }])
    expect(await keyed('7::SMALLINT', 'int32')).toMatchObject([{ k: 7 }])
    expect(await inputError(keyed('7::BIGINT', 'int32'))).toMatch(
      /key k: entity thing says int32, but column k of source events is BIGINT\. Declare the key as int64/,
    )
    expect(await inputError(keyed('7::BIGINT', 'string'))).toMatch(
      /says string, but column k of source events is BIGINT/,
    )
    expect(await inputError(keyed("'x'", 'int64'))).toMatch(/Declare the key as string/)
    expect(await inputError(keyed('1.5::DOUBLE', 'int64'))).toMatch(/Keys are text or integers/)
    const missing = groupOn(
      sourceOf(await valuesOf('[1]')),
      { events: count({ over }) },
      { airport: 'string' },
    )
    expect(await inputError(computeDays(bench, missing))).toMatch(
      /key airport: source events has no column "airport"\. It has t, v, k/,
    )
  })

  test('a null key says how many and when first', async () => {
    const path = await valuesOf('[1, 2, 3]', "CASE WHEN v = 1 THEN 'a' END AS k")
    expect(await inputError(computeDays(bench, groupOn(sourceOf(path))))).toBe(
      'feature group tested_v1: 2 events of source events have no k, a key of entity thing; the first is of 2001-01-01T02:00:00Z. Fill it in or leave these events out.',
    )
  })

  test('a column that changed its type since registration', async () => {
    const group = groupOn(sourceOf(await valuesOf('[1]')), { total: sum('v', { over }) })
    const registered = await bindGroup(bench.connection, group, await filesOf(onlySourceOf(group)))
    const now = sourceOf(await valuesOf('[1.5::DOUBLE]'))
    const relation = await bindSource(bench.connection, now, await filesOf(now))
    const range = { from: Date.UTC(2001, 0, 1), to: Date.UTC(2001, 0, 2) }
    const run = computeRange(bench.connection, {
      bound: registered,
      relation,
      range,
      runId: 'r',
      into: 'changed',
    })
    expect(await inputError(run)).toMatch(
      /feature total was registered as int64, but the columns of source events now make it float64/,
    )
  })
})

describe('values', () => {
  test('sums of integers are exact, and one that is no int64 fails the run and is named', async () => {
    const features = { other: count({ over }), total: sum('v', { over }), average: mean('v', { over }) }
    const huge = '[9223372036854775807, 1, -2]::BIGINT[]'
    expect(await featuresOf(huge, features)).toMatchObject({
      total: 9223372036854775806n,
      average: 2 ** 63 / 3,
    })
    expect(await inputError(featuresOf('[9223372036854775807, 1]::BIGINT[]', features))).toMatch(
      /feature group tested_v1: feature total: a value does not fit int64/,
    )
    expect(await featuresOf('[2147483647, 2147483647]::INTEGER[]', features)).toMatchObject({
      total: 4294967294n,
    })
    expect(
      await inputError(featuresOf('[18446744073709551615]::UBIGINT[]', { least: min('v', { over }) })),
    ).toMatch(/feature least/)
  })

  test('NaN spreads through sums and means and is the greatest number', async () => {
    const features = {
      total: sum('v', { over }),
      average: mean('v', { over }),
      most: max('v', { over }),
      least: min('v', { over }),
    }
    expect(await featuresOf("[1, 'NaN'::DOUBLE, -1]", features)).toMatchObject({
      total: NaN,
      average: NaN,
      most: NaN,
      least: -1,
    })
    const path = await valuesOf("['NaN'::DOUBLE, NULL, 2, 3]")
    const group = { ...groupOn(sourceOf(path), { total: sum('v', { over: '2h' }) }), every: '1h' as const }
    // The NaN of 01:00 is gone from the windows as soon as its event is.
    const rows = await computeDays(bench, group)
    expect(rows.map((row) => row['total'])).toEqual([NaN, NaN, 2, 5, 3, null])
  })

  test('an event that is no longer seen leaves one row of empty windows', async () => {
    const path = await valuesOf('[1, 5]')
    const features = {
      rows: count({ over }),
      values: count('v', { over }),
      total: sum('v', { over }),
      part: share(gt('v', 2), { over }),
      least: min('v', { over }),
    }
    const rows = await computeDays(bench, groupOn(sourceOf(path), features), 5)
    expect(rows.map(({ event_timestamp: at, ...row }) => ({ at: String(at), ...row }))).toMatchObject([
      { at: '2001-01-02 00:00:00+00', rows: 2n, values: 2n, total: 6n, part: 0.5, least: 1 },
      { at: '2001-01-03 00:00:00+00', rows: 0n, values: 0n, total: null, part: null, least: null },
    ])
  })

  test('literals and names with quotes, big integers, fractions, empty lists', async () => {
    const path = await bench.writeParquet(
      `it's "quoted".parquet`.replaceAll("'", ''),
      `SELECT TIMESTAMP '2001-01-01 01:00' AS t, 'a' AS k, 'it''s' AS "the ""word""", 9007199254740993 AS big, 0.1::FLOAT AS "select", true AS yes`,
    )
    const met = (condition: Parameters<typeof share>[0]) => count({ over, where: condition })
    const [row] = await computeDays(
      bench,
      groupOn(sourceOf(path), {
        word: met(eq('the "word"', "it's")),
        big: met(eq('big', 9007199254740993n)),
        neighbour: met(eq('big', 9007199254740992n)),
        fraction: met(gt('select', 0.1)),
        yes: met(and(eq('yes', true), or(lt('big', -5), not(isIn('big', []))))),
        none: met(or()),
        all: met(and()),
      }),
    )
    expect(row).toMatchObject({ word: 1n, big: 1n, neighbour: 0n, fraction: 1n, yes: 1n, none: 0n, all: 1n })
  })

  test('an aborted computation throws the reason of its signal and leaves the connection usable', async () => {
    const reason = new Error('stop')
    const group = groupOn(sourceOf(await valuesOf('[1]')))
    const sourceFiles = await filesOf(onlySourceOf(group))
    const bound = await bindGroup(bench.connection, group, sourceFiles)
    const relation = await bindSource(bench.connection, onlySourceOf(group), sourceFiles)
    const range = { from: Date.UTC(2001, 0, 1), to: Date.UTC(2001, 0, 2) }
    const request = { bound, relation, range, runId: 'r', into: 'aborted' }
    const run = computeRange(bench.connection, { ...request, signal: AbortSignal.abort(reason) })
    await expect(run).rejects.toBe(reason)
    expect(await query(bench.connection, `SELECT table_name FROM duckdb_tables()`)).toEqual([])
    const aborting = new AbortController()
    const endless =
      'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range + b.range) = 0'
    setTimeout(() => aborting.abort(reason), 50)
    await expect(query(bench.connection, endless, aborting.signal)).rejects.toBe(reason)
    expect(await computeRange(bench.connection, request)).toEqual({ rows: 1 })
    await query(bench.connection, 'DROP TABLE aborted')
  })
})
