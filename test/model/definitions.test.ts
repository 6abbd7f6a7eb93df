/** Definitions that cannot work are refused when they are made, with the thing, the value and the cure. */
import { describe, expect, test } from 'vitest'
import {
  collectDefinitions,
  count,
  entity,
  featureGroup,
  featureService,
  inRange,
  InputError,
  mean,
  nullRate,
  parquet,
  rowCount,
  type FeatureGroupDefinition,
} from '../../model/index.ts'

const shop = entity({ name: 'shop', keys: { shop: 'string' } })
const orders = parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC', retention: '30d' })
const features = { orders_1h: count({ over: '1h' }), mean_price_1d: mean('price', { over: '1d' }) }
type Given = FeatureGroupDefinition<typeof features>
const good: Given = {
  name: 'shop_orders',
  version: 1,
  owner: 'a@example.com',
  description: 'Orders',
  entity: shop,
  source: orders,
  every: '1h',
  features,
}

const refusal = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    if (error instanceof InputError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

describe('feature groups', () => {
  test('a good one has its id, its defaults and its features', () => {
    const group = featureGroup(good)
    expect(group).toMatchObject({ id: 'shop_orders_v1', availableAfter: '0s', ttl: null, online: true })
    expect(group.buckets).toBeNull()
    expect(featureGroup({ ...good, buckets: { key: 'shop', count: 4 } }).buckets).toEqual({
      key: 'shop',
      count: 4,
    })
    expect(group.pick('orders_1h')).toEqual({ group, features: ['orders_1h'] })
  })

  const wrong = (change: object) => refusal(() => featureGroup({ ...good, ...change }))
  test.each([
    [
      'a name with capitals',
      { name: 'Orders' },
      /feature group "?Orders.*name: a name is made of lower-case.*"Orders"/,
    ],
    ['a version of nothing', { version: 0 }, /versions count from 1/],
    ['no features', { features: {} }, /at least one feature/],
    ['an unknown field', { colour: 'red' }, /colour/],
    ['a cadence that is no duration', { every: 'hourly' }, /"hourly" is not a duration/],
    ['a window of nothing', { features: { none: count({ over: '0d' }) } }, /features\.none\.over/],
    [
      'a feature with the name of a key',
      { features: { shop: count({ over: '1h' }) } },
      /feature shop has the name of a key/,
    ],
    ['a feature with a reserved name', { features: { run_id: count({ over: '1h' }) } }, /run_id/],
    [
      "a feature with the name of DuckDB's for a row's place",
      { features: { file_row_number: count({ over: '1h' }) } },
      /feature file_row_number has the name of .* a column that every table has/,
    ],
    ['a ttl of nothing', { ttl: '0d' }, /ttl.*longer than nothing/],
    ['a ttl shorter than the cadence', { ttl: '30m' }, /ttl 30m is shorter than the cadence 1h/],
    [
      'a window beyond the retention',
      { features: { far: count({ over: '31d' }) } },
      /feature far.*keeps events \(30d\)/,
    ],
    [
      'buckets of what is no key',
      { buckets: { key: 'orders_1h', count: 4 } },
      /buckets: orders_1h is no key of entity shop, which has shop\. Take one of them/,
    ],
    ['one bucket', { buckets: { key: 'shop', count: 1 } }, /buckets\.count: .*2 or more \(given: 1\)/],
    ['too many buckets', { buckets: { key: 'shop', count: 1025 } }, /buckets\.count: .*at most 1024.*1025/],
    [
      'half a bucket',
      { buckets: { key: 'shop', count: 2.5 } },
      /buckets\.count: must be a whole number.*2\.5/,
    ],
    ['buckets of nothing', { buckets: { count: 4 } }, /buckets\.key/],
    [
      'a feature called as the buckets are',
      { buckets: { key: 'shop', count: 4 }, features: { shop_bucket: count({ over: '1h' }) } },
      /shop_bucket is what the table's buckets of shop are called/,
    ],
    ['an unknown field of buckets', { buckets: { key: 'shop', count: 4, on: 'day' } }, /buckets: .*on/],
    ['a share above one', { gates: [nullRate('mean_price_1d', { max: 2 })] }, /max 2 is not a share/],
    ['a range upside down', { gates: [inRange('mean_price_1d', 5, 1)] }, /min 5 is not below max 1/],
    ['half an interval of history', { gates: [rowCount({ min: 0, max: 2, last: 1.5 })] }, /last 1.5/],
    [
      'a gate on nobody',
      { gates: [inRange('nobody' as 'orders_1h', 0, 1)] },
      /no feature "nobody".*orders_1h, mean_price_1d/,
    ],
    [
      'a gate twice',
      { gates: [inRange('orders_1h', 0, 1), inRange('orders_1h', 0, 2)] },
      /in_range\(orders_1h\) is there twice/,
    ],
  ])('%s', (_name, change, sentence) => {
    expect(wrong(change)).toMatch(sentence)
  })

  test('what is not an object at all', () => {
    expect(refusal(() => featureGroup(undefined as unknown as Given))).toMatch(/feature group without a name/)
  })
})

describe('entities, sources and services', () => {
  test.each([
    ['an entity without keys', () => entity({ name: 'nobody', keys: {} }), /at least one join key/],
    ['a key of an unknown type', () => entity({ name: 'a', keys: { b: 'float' as 'string' } }), /keys\.b/],
    [
      'a zone that is none',
      () => parquet({ name: 'a', path: 'b', timestamp: 'c', timeZone: 'Berlin' }),
      /not a time zone.*"Berlin"/,
    ],
    ['no timestamp', () => parquet({ name: 'a', path: 'b', timestamp: '' }), /timestamp/],
    [
      'a day that is none',
      () => parquet({ name: 'a', path: 'b', timestamp: 'c', completeFrom: '2001-02-30' }),
      /not an instant/,
    ],
    ['a service of nothing', () => featureService({ name: 'a', features: [] }), /at least one feature/],
    [
      'a feature twice',
      () => featureService({ name: 'a', features: [featureGroup(good).pick('orders_1h', 'orders_1h')] }),
      /shop_orders_v1\.orders_1h is there twice/,
    ],
    [
      'a feature that is not there',
      () => featureGroup(good).pick('nobody' as 'orders_1h'),
      /no feature "nobody"/,
    ],
  ])('%s', (_name, make, sentence) => {
    expect(refusal(make)).toMatch(sentence)
  })

  test('one id means one definition', () => {
    expect(refusal(() => collectDefinitions({ a: featureGroup(good), b: featureGroup(good) }))).toMatch(
      /defined twice/,
    )
    const other = entity({ name: 'shop', keys: { shop: 'int64' } })
    const second = featureGroup({ ...good, name: 'others', entity: other })
    expect(refusal(() => collectDefinitions({ a: featureGroup(good), b: second }))).toMatch(
      /entity shop is defined twice/,
    )
    const one = featureGroup(good)
    expect([...collectDefinitions({ one, again: [one] }).groups.keys()]).toEqual(['shop_orders_v1'])
  })
})
