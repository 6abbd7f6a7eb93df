/** Types of features as text, defaults as values of them, and several windows in one line. */
import { describe, expect, test } from 'vitest'
import {
  count,
  csv,
  defaultsOf,
  entity,
  featureGroup,
  histogram,
  InputError,
  listOf,
  mean,
  parseFeatureType,
  quantile,
  scalarTypes,
  shapeOf,
  topK,
  vectorOf,
  windows,
  type AggregateFeature,
  type FeatureDefault,
  type FeatureType,
} from '../../model/index.ts'

const messageOf = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    if (error instanceof InputError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

const source = csv({ name: 'readings', path: 'readings.csv', timestamp: 'at', completeFrom: '2001-01-01' })
const groupOf = (features: Record<string, AggregateFeature>, from = source) =>
  featureGroup({
    name: 'readings',
    version: 1,
    owner: 'a@example.com',
    description: 'd',
    entity: entity({ name: 'sensor', keys: { sensor: 'string' } }),
    source: from,
    every: '1h',
    features,
  })

test('types come apart and are what they were', () => {
  expect(shapeOf('float64')).toEqual({ kind: 'scalar', scalar: 'float64' })
  expect(shapeOf('list<timestamp>')).toEqual({ kind: 'list', element: 'timestamp' })
  expect(shapeOf('vector<384>')).toEqual({ kind: 'vector', element: 'float32', length: 384 })
  for (const type of [...scalarTypes, ...scalarTypes.map(listOf), vectorOf(1), vectorOf(16_384)]) {
    expect(parseFeatureType(type)).toBe(type)
  }
  const wrong = [
    '',
    'text',
    'list',
    'list<>',
    'list<text>',
    'list<list<string>>',
    'list<vector<3>>',
    ' float64',
  ]
  const lengths = [
    'vector<0>',
    'vector<-1>',
    'vector<1.5>',
    'vector<03>',
    'vector<16385>',
    'vector<3',
    'vector<n>',
  ]
  for (const text of [...wrong, ...lengths]) expect(parseFeatureType(text), text).toBe(null)
})

describe('defaults', () => {
  test.each<[FeatureType, FeatureDefault, FeatureDefault]>([
    ['boolean', false, false],
    ['int32', -5, -5],
    ['int64', 7, 7n],
    ['int64', 2n ** 63n - 1n, 2n ** 63n - 1n],
    ['float64', -0, 0],
    ['float32', 0.1, Math.fround(0.1)],
    ['string', '', ''],
    ['timestamp', '2001-01-08T06:00:00Z', 978_933_600_000_000n],
    ['timestamp', 1, 1000n],
    ['list<int64>', [1, 2n], [1n, 2n]],
    ['list<string>', [], []],
    ['vector<2>', [1, 0.1], [1, Math.fround(0.1)]],
  ])('%s: %s', (type, given, value) => expect(valueOf(type, given)).toEqual(value))

  test.each<[FeatureType, FeatureDefault]>([
    ['boolean', 0],
    ['int32', 2 ** 31],
    ['int32', 0.5],
    ['int64', 2n ** 63n],
    ['int64', 0.5],
    ['int64', '7'],
    ['float64', 1n],
    ['float32', 1e39],
    ['string', 'lone \ud800'],
    ['timestamp', 0.5],
    ['list<int64>', 7],
    ['list<int64>', [0.5]],
    ['float64', [1]],
    ['vector<2>', [1]],
  ])('%s is not %s', (type, given) => {
    const message = messageOf(() => valueOf(type, given))
    expect(message).toContain('feature group readings_v1: feature tested: the default ')
    expect(message).toContain(` is no ${type}. Give it `)
  })

  test('an instant needs its zone', () => {
    expect(messageOf(() => valueOf('timestamp', '2001-01-08T06:00'))).toMatch(
      /tested: the default.*is not an instant/,
    )
  })
})

const valueOf = (type: FeatureType, given: FeatureDefault) =>
  defaultsOf({
    group: groupOf({ tested: { ...mean('v', { over: '1h' }), default: given } }),
    keys: [],
    features: [{ name: 'tested', type }],
  })['tested']

test('several windows in one line are the features one by one', () => {
  const line = windows('mean_delay', ['1h', '24h', 'unbounded'], (over) => mean('delay', { over }))
  expect(line).toEqual({
    mean_delay_1h: mean('delay', { over: '1h' }),
    mean_delay_24h: mean('delay', { over: '24h' }),
    mean_delay_unbounded: mean('delay', { over: 'unbounded' }),
  })
  const group = groupOf({ ...line, ...windows('events', ['7d'], (over) => count({ over })) })
  expect(Object.keys(group.features)).toEqual([...Object.keys(line), 'events_7d'])
})

test.each<[string, AggregateFeature, RegExp]>([
  ['a quantile above one', quantile('v', 1.5, { over: '1h' }), /features\.tested: q 1\.5 is not a share/],
  ['a quantile of NaN', quantile('v', NaN, { over: '1h' }), /features\.tested/],
  [
    'none of the greatest',
    topK('v', 0, { over: '1h' }),
    /k 0 is not how many\. Use a whole number from 1 to 1000/,
  ],
  ['too many', topK('v', 1001, { over: '1h' }), /k 1001/],
  ['half a value', topK('v', 1.5, { over: '1h' }), /k 1\.5/],
  ['one edge', histogram('v', [1], { over: '1h' }), /edges \[1\] make no buckets/],
  ['edges that descend', histogram('v', [1, 0], { over: '1h' }), /each greater than the one before/],
  ['equal edges', histogram('v', [1, 1], { over: '1h' }), /each greater than the one before/],
  ['an endless edge', histogram('v', [0, Infinity], { over: '1h' }), /edges/],
  ['a default that JSON cannot hold', mean('v', { over: '1h', default: NaN }), /features\.tested\.default/],
  ['a window by another name', count({ over: 'always' as 'unbounded' }), /over.*"always" is not a duration/],
])('%s is refused', (_, feature, message) => {
  expect(messageOf(() => groupOf({ tested: feature }))).toMatch(message)
})

test('an unbounded window needs a source that is complete from somewhere on, and keeps everything', () => {
  const features = { ever: count({ over: 'unbounded' }) }
  expect(groupOf(features).features).toEqual(features)
  const bare = csv({ name: 'readings', path: 'readings.csv', timestamp: 'at' })
  expect(messageOf(() => groupOf(features, bare))).toMatch(
    /feature ever: an unbounded window counts from .* source readings does not say it\. Give the source a completeFrom/,
  )
  const forgetful = csv({
    name: 'readings',
    path: 'readings.csv',
    timestamp: 'at',
    completeFrom: '2001-01-01',
    retention: '900d',
  })
  expect(messageOf(() => groupOf(features, forgetful))).toMatch(
    /feature ever: a window of unbounded .* source readings keeps events \(900d\)/,
  )
})
