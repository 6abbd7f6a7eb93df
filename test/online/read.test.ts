/** Judging a value when it is read, and how it is written as JSON. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InputError } from '../../model/index.ts'
import { formatMicros, scalarJson, valueJson } from '../../online/json.ts'
import { groupAge, readingsOf, type EntityReading } from '../../online/read.ts'
import type { GroupCard, StoredValue } from '../../online/store.ts'
import { encodeOrder, encodeValue, valueSchema } from '../../online/value.ts'

const hour = 36e5
const now = Date.parse('2001-07-01T01:00:00Z')
const schema = valueSchema([
  { name: 'departures', type: 'int64' },
  { name: 'mean', type: 'float64' },
])
const card: GroupCard = {
  group: 'airport_delays_v1',
  keys: [{ name: 'origin', type: 'string' }],
  schema,
  defaults: {},
  ttlMs: 7 * 24 * hour,
  cadenceMs: hour,
  complete: { snapshotId: '1', order: { incarnation: 1n, sequenceNumber: 1n }, loadedAtMs: now },
}
const stored = (eventTimestampMicros: bigint): StoredValue => ({
  eventTimestampMicros,
  schema,
  values: [0n, null],
})
const orderBytes = encodeOrder({ incarnation: 1n, sequenceNumber: 1n })

/** One reading of a value as it is stored. */
function createJudge(of: GroupCard, nowMs: number, names?: string[]) {
  return (value: StoredValue | null): EntityReading => {
    const bytes = value === null ? null : encodeValue(value.schema, orderBytes, { keys: [], ...value })
    const found = { card: of, schemaOf: () => schema, values: [bytes] }
    const [reading] = readingsOf(found, nowMs, names)
    if (reading === undefined) throw new Error('There is no reading.')
    return reading
  }
}

const statuses = (value: StoredValue | null, of = card, names?: string[]) =>
  createJudge(of, now, names)(value).features.map(({ value: one, status }) => [one, status])

test('present, null, not found and outside of its age are told apart', () => {
  const fresh = stored(BigInt(now) * 1000n)
  expect(statuses(fresh)).toEqual([
    [0n, 'PRESENT'],
    [null, 'NULL_VALUE'],
  ])
  expect(statuses(null)).toEqual([
    [null, 'NOT_FOUND'],
    [null, 'NOT_FOUND'],
  ])
  expect(statuses(stored(0n))).toEqual([
    [null, 'OUTSIDE_MAX_AGE'],
    [null, 'OUTSIDE_MAX_AGE'],
  ])
  expect(createJudge(card, now)(stored(0n)).eventTimestampMicros).toBe(0n)
  expect(createJudge(card, now)(null).eventTimestampMicros).toBe(null)
})

test('ttl is closed at its end, to the microsecond; without a ttl nothing is too old', () => {
  const edge = BigInt(now - 7 * 24 * hour) * 1000n
  expect(statuses(stored(edge))[0]).toEqual([0n, 'PRESENT'])
  expect(statuses(stored(edge + 1n))[0]).toEqual([0n, 'PRESENT'])
  expect(statuses(stored(edge - 1n))[0]).toEqual([null, 'OUTSIDE_MAX_AGE'])
  expect(statuses(stored(-(2n ** 63n)), { ...card, ttlMs: null })[0]).toEqual([0n, 'PRESENT'])
})

test('features come in the asked order; an unknown one is named with those that there are', () => {
  const fresh = stored(BigInt(now) * 1000n)
  expect(createJudge(card, now, ['mean', 'departures'])(fresh).features.map(({ name }) => name)).toEqual([
    'mean',
    'departures',
  ])
  expect(statuses(fresh, card, ['departures'])).toEqual([[0n, 'PRESENT']])
  expect(() => createJudge(card, now, ['delay'])(null)).toThrow(InputError)
  expect(() => createJudge(card, now, ['delay'])(null)).toThrow(
    /airport_delays_v1 has no feature "delay". It has departures, mean/,
  )
})

test('a value of an older schema is read by name, and a feature that it lacks is null', () => {
  const wider = valueSchema([{ name: 'late', type: 'boolean' }, ...schema.features.toReversed()])
  const reading = createJudge({ ...card, schema: wider }, now)(stored(BigInt(now) * 1000n))
  expect(reading.features).toEqual([
    { name: 'late', type: 'boolean', status: 'NULL_VALUE', value: null },
    { name: 'mean', type: 'float64', status: 'NULL_VALUE', value: null },
    { name: 'departures', type: 'int64', status: 'PRESENT', value: 0n },
  ])
})

test('a default fills in for every status but PRESENT, and the status still tells', () => {
  const of = { ...card, defaults: { departures: -1n, mean: 0.5 } }
  expect(statuses(stored(BigInt(now) * 1000n), of)).toEqual([
    [0n, 'PRESENT'],
    [0.5, 'NULL_VALUE'],
  ])
  expect(statuses(null, of, ['mean'])).toEqual([[0.5, 'NOT_FOUND']])
  expect(statuses(stored(0n), of, ['mean', 'departures'])).toEqual([
    [0.5, 'OUTSIDE_MAX_AGE'],
    [-1n, 'OUTSIDE_MAX_AGE'],
  ])
})

test('lists and vectors are arrays of what their elements are', () => {
  expect(valueJson('list<int64>', [2n ** 63n - 1n, null])).toBe('[9223372036854775807,null]')
  expect(valueJson('list<timestamp>', [0n])).toBe('["1970-01-01T00:00:00Z"]')
  expect(valueJson('list<string>', [])).toBe('[]')
  expect(valueJson('vector<2>', [Math.fround(0.1), NaN])).toBe('[0.10000000149011612,"NaN"]')
  expect(() => valueJson('list<int64>', 7n)).toThrow(/7 is no list<int64>/)
  expect(() => valueJson('int64', [7n])).toThrow(/7 is no int64/)
})

test('a group is stale once its last load is older than one and a half times its cadence', () => {
  const mark = { snapshotId: '1', order: { incarnation: 1n, sequenceNumber: 1n }, loadedAtMs: now }
  const age = (ms: number) => groupAge({ cadenceMs: hour, complete: mark }, now + ms)
  expect(age(0)).toEqual({ ageMs: 0, stale: false })
  expect(age(1.5 * hour)).toEqual({ ageMs: 1.5 * hour, stale: false })
  expect(age(1.5 * hour + 1)).toEqual({ ageMs: 1.5 * hour + 1, stale: true })
})

test('int64 is written with all its digits', () => {
  expect(valueJson('int64', 2n ** 63n - 1n)).toBe('9223372036854775807')
  expect(valueJson('int64', -(2n ** 63n))).toBe('-9223372036854775808')
  expect(scalarJson(2n ** 53n + 1n)).toBe('9007199254740993')
})

test('a double reads back to its bits, as a number where JSON has one', () => {
  fc.assert(
    fc.property(fc.double(), (value) => {
      const back = JSON.parse(valueJson('float64', value)) as unknown
      if (Number.isFinite(value)) expect(back).toBe(value)
      else expect(back).toBe(String(value))
    }),
    { numRuns: 5000 },
  )
  expect(valueJson('float64', -0)).toBe('-0')
  expect(valueJson('float64', 0.1 + 0.2)).toBe('0.30000000000000004')
  expect(valueJson('float32', Math.fround(0.1))).toBe('0.10000000149011612')
  expect(valueJson('float64', Number.NaN)).toBe('"NaN"')
  expect(valueJson('float64', -Infinity)).toBe('"-Infinity"')
})

test('strings, booleans and null are plain JSON', () => {
  expect(valueJson('string', 'a"\n\u2028')).toBe(JSON.stringify('a"\n\u2028'))
  expect(valueJson('boolean', false)).toBe('false')
  expect(valueJson('timestamp', null)).toBe('null')
  expect(() => valueJson('int64', 1)).toThrow(/value 1 is no int64/)
  expect(() => valueJson('timestamp', 'x')).toThrow(/no timestamp/)
})

test.each([
  [978_912_000_000_001n, '2001-01-08T00:00:00.000001Z'],
  [978_912_000_000_000n, '2001-01-08T00:00:00Z'],
  [978_912_000_999_999n, '2001-01-08T00:00:00.999999Z'],
  [0n, '1970-01-01T00:00:00Z'],
  [-1n, '1969-12-31T23:59:59.999999Z'],
  [-1_000_000n, '1969-12-31T23:59:59Z'],
  [8_640_000_000_000_000_000n, '+275760-09-13T00:00:00Z'],
  [2n ** 63n - 1n, '9223372036854775807'],
  [-8_640_000_000_000_000_000n, '-271821-04-20T00:00:00Z'],
  [-8_640_000_000_000_000_001n, '-8640000000000000001'],
])('%d microseconds are %s', (micros, text) => {
  expect(formatMicros(micros)).toBe(text)
})
