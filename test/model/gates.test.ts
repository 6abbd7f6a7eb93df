/** What a gate is set to is checked when its group is made: every rule, with the value and the cure. */
import { describe, expect, test } from 'vitest'
import {
  allowedValues,
  count,
  coverage,
  entity,
  featureGroup,
  featuresOfGate,
  gateName,
  InputError,
  inRange,
  jensenShannon,
  knownValues,
  mean,
  notEmpty,
  nullRate,
  parquet,
  psi,
  queryGate,
  rowCount,
  uniqueRows,
  type Gate,
  type KnownValue,
} from '../../model/index.ts'
import { definitionJson } from '../../registry/definition.ts'

type Feature = 'orders_1h' | 'mean_price_1d'
const groupWith = (...gates: Gate<Feature>[]) =>
  featureGroup({
    name: 'shop_orders',
    version: 1,
    owner: 'a@example.com',
    description: 'Orders',
    entity: entity({ name: 'shop', keys: { country: 'string', shop: 'int64' } }),
    source: parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC' }),
    every: '1h',
    features: { orders_1h: count({ over: '1h' }), mean_price_1d: mean('price', { over: '1d' }) },
    gates,
  })

const refusal = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    if (error instanceof InputError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

const known = (change: Partial<KnownValue<Feature>> = {}): KnownValue<Feature> => ({
  keys: { country: 'at', shop: 7n },
  at: '2024-01-02',
  feature: 'orders_1h',
  value: 3,
  ...change,
})

const good: Gate<Feature>[] = [
  notEmpty(),
  uniqueRows(),
  nullRate('mean_price_1d', { max: 1 }),
  inRange('orders_1h', 0, 0),
  rowCount({ min: 0.5, max: 2 }),
  allowedValues('orders_1h', [0, 9007199254740993n]),
  coverage({ min: 0.99 }),
  psi('mean_price_1d', { max: 0.25 }),
  jensenShannon('mean_price_1d', { max: 0.1, bins: 100, last: 168, onViolation: 'warn' }),
  knownValues([
    known(),
    known({ value: 2.5, tolerance: 0, feature: 'mean_price_1d' }),
    known({ value: null }),
  ]),
  queryGate('one', 'SELECT 1 FROM staged'),
  queryGate('other', '  with x as (select 1) from x', { last: 1 }),
]

test('one of each kind fits a group; names tell them apart, and two queries are two gates', () => {
  const group = groupWith(...good)
  expect(group.gates.map(gateName)).toEqual([
    'not_empty',
    'unique_rows',
    'null_rate(mean_price_1d)',
    'in_range(orders_1h)',
    'row_count',
    'allowed_values(orders_1h)',
    'coverage',
    'psi(mean_price_1d)',
    'jensen_shannon(mean_price_1d)',
    'known_values',
    'query(one)',
    'query(other)',
  ])
  expect(group.gates.map(({ onViolation }) => onViolation).filter((what) => what === 'warn')).toHaveLength(1)
  expect(group.gates.flatMap(featuresOfGate).filter((name) => name === 'orders_1h')).toHaveLength(3)
})

test('what the registry keeps of them is plain data under their names', () => {
  const { gates } = definitionJson(groupWith(...good)) as { gates: Record<string, { params: unknown }> }
  expect(Object.keys(gates)).toHaveLength(good.length)
  expect(gates['psi(mean_price_1d)']?.params).toEqual({ max: 0.25, bins: 10, last: 24 })
  expect(gates['coverage']?.params).toEqual({ min: 0.99, last: 1 })
  expect(gates['allowed_values(orders_1h)']?.params).toEqual({ values: [0, { int64: '9007199254740993' }] })
  expect(gates['known_values']?.params).toMatchObject({
    fixtures: [{ keys: { shop: { int64: '7' } } }, {}, {}],
  })
})

describe('refused', () => {
  test.each<[string, Gate<Feature>, string]>([
    ['null_rate', nullRate('orders_1h', { max: -0.1 }), 'max -0.1 is not a share. Use a number from 0 to 1.'],
    ['in_range', inRange('orders_1h', 2, 1), 'min 2 is not below max 1. Swap them.'],
    ['row_count', rowCount({ min: 2, max: 1 }), 'min 2 is not below max 1. Swap them.'],
    ['row_count last', rowCount({ min: 0, max: 1, last: 0 }), 'last 0 is not a number of intervals.'],
    ['allowed_values none', allowedValues('orders_1h', []), 'no value is allowed. Name at least one.'],
    ['allowed_values twice', allowedValues('orders_1h', [1, 1n]), 'the value 1 is there twice. Keep one.'],
    [
      'allowed_values mixed',
      allowedValues('orders_1h', [1, 'a']),
      'several types (number, string). Use one.',
    ],
    ['coverage', coverage({ min: 95 }), 'min 95 is not a share. Use a number from 0 to 1.'],
    ['coverage last', coverage({ min: 1, last: 0.5 }), 'last 0.5 is not a number of intervals.'],
    [
      'psi',
      psi('orders_1h', { max: -1 }),
      'max -1 is below 0, which no drift is. Use a number such as 0.25.',
    ],
    ['psi bins', psi('orders_1h', { max: 1, bins: 1 }), 'bins 1 is not a number of bins.'],
    ['psi last', psi('orders_1h', { max: 1, last: -1 }), 'last -1 is not a number of intervals.'],
    ['jensen_shannon', jensenShannon('orders_1h', { max: 2 }), 'max 2 is not a share.'],
    ['jensen_shannon bins', jensenShannon('orders_1h', { max: 1, bins: 101 }), 'bins 101 is not a number'],
    ['known_values none', knownValues([]), 'it knows no value. Name at least one.'],
    [
      'known_values keys',
      knownValues([known(), known({ keys: { shop: 7 } })]),
      'known value 2 has the keys shop; entity shop has country, shop. Name exactly these.',
    ],
    ['known_values tolerance', knownValues([known({ tolerance: -1 })]), 'tolerance -1 is below 0.'],
    [
      'known_values text',
      knownValues([known({ value: 'a', tolerance: 1 })]),
      'a has a tolerance and is no number',
    ],
    ['known_values null', knownValues([known({ value: null, tolerance: 1 })]), 'null has a tolerance'],
    ['query', queryGate('mine', 'DELETE FROM staged'), '"DELETE FROM staged" is no query. Start with SELECT'],
    ['query semicolon', queryGate('mine', 'SELECT 1 ;\n'), 'ends with a semicolon. Take it away'],
    ['query last', queryGate('mine', 'SELECT 1', { last: 0 }), 'last 0 is not a number of intervals.'],
  ])('%s', (_name, gate, sentence) => {
    const message = refusal(() => groupWith(gate))
    expect(message).toContain(`feature group "shop_orders": gate ${gateName(gate)}: `.replaceAll('"', ''))
    expect(message).toContain(sentence)
  })

  test('a time that is no instant, and a fixture of a feature that is not there', () => {
    expect(refusal(() => groupWith(knownValues([known({ at: '2024-01-02 06:00' })])))).toMatch(
      /known value 1: "2024-01-02 06:00" is not an instant/,
    )
    const nobody = knownValues([known(), known({ feature: 'nobody' as Feature })])
    expect(refusal(() => groupWith(nobody))).toMatch(/gate known_values: .*no feature "nobody".*orders_1h/)
  })

  test('the same gate twice, a name that is none, and what is not shaped like a gate', () => {
    expect(refusal(() => groupWith(coverage({ min: 1 }), coverage({ min: 0.5 })))).toMatch(
      /gate coverage is there twice/,
    )
    expect(refusal(() => groupWith(queryGate('Two Words', 'SELECT 1')))).toMatch(
      /gates\.0\.params\.name: gate query: a name is made of lower-case/,
    )
    const odd = { ...psi('orders_1h', { max: 1 }), params: { max: '1' } } as unknown as Gate<Feature>
    expect(refusal(() => groupWith(odd))).toMatch(/gates\.0\.params\.max: gate psi: .*number.*"1"/)
  })
})
