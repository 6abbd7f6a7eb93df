/** Partition transforms against the specification's vectors, DuckDB, and all rows that a comparison admits. */
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { registerBucketFunctions, transformSql } from '../../iceberg/duckdb/transformSql.ts'
import { compareValues, encodeBound, InvalidInput, type SingleValue } from '../../iceberg/singleValue.ts'
import {
  applyTransform,
  murmur3,
  parseTransform,
  projectComparison,
  type Comparison,
} from '../../iceberg/transforms.ts'
import type { PrimitiveType } from '../../iceberg/types.ts'

const seed = Math.trunc(Math.random() * 2 ** 31)
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n

describe("the specification's vectors", () => {
  // Hashes are Appendix B's; the buckets of 100 are theirs, the sign bit cleared.
  test.each<[PrimitiveType, SingleValue, number, number]>([
    ['long', 34n, 2017239379, 79],
    ['string', 'iceberg', 1210000089, 89],
    ['timestamp', micros('2017-11-16T22:31:08Z'), -2047944441, 7],
    ['timestamptz', micros('2017-11-16T22:31:08Z'), -2047944441, 7],
    ['timestamptz', micros('2017-11-16T22:31:08Z') + 1n, -1207196810, 38],
    ['binary', Uint8Array.of(0, 1, 2, 3), -188683207, 41],
  ])('murmur3 of %s %s', (type, value, hash, bucket) => {
    expect(murmur3(encodeBound(type, value))).toBe(hash)
    expect(applyTransform('bucket[100]', type, value)).toBe(bucket)
  })

  test('ints and dates hash as longs', () => {
    expect(applyTransform('bucket[1000]', 'int', 34)).toBe(2017239379 % 1000)
    expect(applyTransform('bucket[1000]', 'date', 17486)).toBe((-653330422 & 0x7fffffff) % 1000)
  })

  test('days round towards the past, null stays null', () => {
    expect(applyTransform('day', 'timestamptz', -1n)).toBe(-1)
    expect(applyTransform('day', 'timestamptz', 0n)).toBe(0)
    expect(applyTransform('day', 'timestamptz', micros('2017-11-16T22:31:08Z'))).toBe(17486)
    expect(applyTransform('day', 'timestamptz', null)).toBeNull()
    expect(applyTransform('identity', 'string', 'x')).toBe('x')
  })

  test('what is not supported is refused by name', () => {
    expect(() => parseTransform('truncate[4]')).toThrow('"truncate[4]" is not supported')
    expect(() => parseTransform('bucket[0]')).toThrow(InvalidInput)
    expect(() => applyTransform('day', 'string', 'x')).toThrow('day of a column of type string')
    expect(() => applyTransform('bucket[4]', 'double', 1)).toThrow(InvalidInput)
  })
})

const sourceValues: Record<'timestamptz' | 'date' | 'long' | 'string', fc.Arbitrary<SingleValue>> = {
  timestamptz: fc.bigInt({ min: -400_000_000_000n, max: 400_000_000_000n }),
  date: fc.integer({ min: -9, max: 9 }),
  long: fc.bigInt({ min: -9n, max: 9n }),
  string: fc.string({ unit: 'binary', maxLength: 6 }),
}

function matches(type: PrimitiveType, value: SingleValue | null, comparison: Comparison): boolean {
  if (comparison.op === 'is_null') return value === null
  if (value === null) return false
  if (comparison.op === 'not_null') return true
  if (comparison.op === 'in') return comparison.value.some((one) => compareValues(type, value, one) === 0)
  const order = compareValues(type, value, comparison.value)
  return { eq: order === 0, lt: order < 0, le: order <= 0, gt: order > 0, ge: order >= 0 }[comparison.op]
}

test.each([
  ['day', 'timestamptz', 'date'],
  ['day', 'date', 'date'],
  ['bucket[3]', 'long', 'int'],
  ['bucket[3]', 'string', 'int'],
  ['identity', 'string', 'string'],
] as const)('%s of %s: no partition with a matching row is ruled out', (transform, type, resultType) => {
  const value = sourceValues[type]
  const comparison: fc.Arbitrary<Comparison> = fc.oneof(
    fc.record({ op: fc.constantFrom('eq', 'lt', 'le', 'gt', 'ge'), value }),
    fc.record({ op: fc.constant('in' as const), value: fc.array(value, { maxLength: 4 }) }),
    fc.record({ op: fc.constantFrom('is_null', 'not_null') }),
  )
  fc.assert(
    fc.property(fc.option(value), comparison, (row, asked) => {
      const projected = projectComparison(transform, type, asked)
      if (!projected || !matches(type, row, asked)) return
      expect(matches(resultType, applyTransform(transform, type, row), projected)).toBe(true)
    }),
    { seed, numRuns: 2000 },
  )
})

test('the projection of a day is tight at its edges', () => {
  const day = 86_400_000_000n
  expect(projectComparison('day', 'timestamptz', { op: 'lt', value: day })).toEqual({ op: 'le', value: 0 })
  expect(projectComparison('day', 'timestamptz', { op: 'le', value: day })).toEqual({ op: 'le', value: 1 })
  expect(projectComparison('day', 'timestamptz', { op: 'gt', value: day - 1n })).toEqual({
    op: 'ge',
    value: 1,
  })
  expect(projectComparison('bucket[4]', 'long', { op: 'gt', value: 1n })).toBeNull()
})

test('the SQL form gives the same values, whatever the time zone of the session', async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  registerBucketFunctions(connection)
  registerBucketFunctions(connection)
  await connection.run(`SET TimeZone = 'Pacific/Auckland'`)
  await connection.run(`CREATE TABLE t AS SELECT
    CASE WHEN i % 50 = 0 THEN NULL ELSE make_timestamptz((i - 500) * 7_654_321_000) END AS moment,
    CAST(i - 500 AS INTEGER) AS small, (i - 500) * 9_007_199_254_740_993 AS long, chr(i::INTEGER + 1) || '😀' AS text,
    encode(chr(i::INTEGER + 1)) AS bytes, DATE '1970-01-01' + (i - 500)::INTEGER AS date, i % 2 = 0 AS flag
    FROM range(1000) r(i)`)
  const cases: [string, string, PrimitiveType][] = [
    ['day', 'moment', 'timestamptz'],
    ['day', 'date', 'date'],
    ['bucket[7]', 'moment', 'timestamptz'],
    ['bucket[7]', 'small', 'int'],
    ['bucket[7]', 'long', 'long'],
    ['bucket[7]', 'text', 'string'],
    ['bucket[7]', 'bytes', 'binary'],
    ['bucket[7]', 'date', 'date'],
    ['identity', 'flag', 'boolean'],
  ]
  for (const [transform, column, type] of cases) {
    const raw =
      type === 'timestamptz'
        ? `epoch_us(${column})`
        : type === 'date'
          ? `${column} - DATE '1970-01-01'`
          : column
    const sql = transformSql(transform, type, column)
    const result = transform === 'day' ? `${sql} - DATE '1970-01-01'` : sql
    const rows = (await connection.runAndReadAll(`SELECT ${raw}, ${result} FROM t`)).getRowsJS()
    for (const [from, got] of rows) {
      const value = type === 'date' ? Number(from) : (from as SingleValue | null)
      const expected = applyTransform(transform, type, value)
      expect(typeof got === 'bigint' ? Number(got) : got, `${transform} of ${column} ${String(value)}`).toBe(
        expected,
      )
    }
    expect(rows).toHaveLength(1000)
  }
  connection.closeSync()
})
