/** On-demand features, roles and the services that take them: one name means one thing, or a sentence says what to do. */
import { describe, expect, test } from 'vitest'
import {
  collectDefinitions,
  count,
  entity,
  feature,
  featureGroup,
  featureService,
  InputError,
  keyColumns,
  mean,
  onDemand,
  parquet,
} from '../../model/index.ts'

const shop = entity({ name: 'shop', keys: { country: 'string', shop: 'int64' } })
const source = parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC' })
const groupOf = (name: string) =>
  featureGroup({
    ...{ name, version: 1, owner: 'a@example.com', description: 'd', entity: shop, source, every: '1h' },
    features: { orders_1h: count({ over: '1h' }), mean_price_1d: mean('price', { over: '1d' }) },
  })
const [orders, visits] = [groupOf('orders'), groupOf('visits')]
const other = orders.as('other', { shop: 'other_shop' })

const definition = {
  name: 'basket',
  request: { price: 'float64' },
  reads: [orders.pick('mean_price_1d')],
  features: { dearness: feature('float64') },
  compute: () => ({ dearness: 1 }),
} as const
const basket = onDemand(definition)

const refusal = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    if (error instanceof InputError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a group in a role', () => {
  test('has its name before its features, and keys that are left out keep theirs', () => {
    expect(other.pick('orders_1h')).toEqual({
      ...{ group: orders, features: ['orders_1h'], role: 'other', keys: { shop: 'other_shop' } },
    })
    expect(other.features).toEqual(['orders_1h', 'mean_price_1d'])
    expect(keyColumns(other)).toEqual({ country: 'country', shop: 'other_shop' })
    expect(keyColumns(orders.pick('orders_1h'))).toEqual({ country: 'country', shop: 'shop' })
  })

  test.each([
    ['a role that is no name', () => orders.as('Other Shop', {}), /as\("Other Shop"\): a role is a name/],
    [
      'a key that is none',
      () => orders.as('other', { store: 'other_shop' }),
      /store is no key of shop, which has country, shop/,
    ],
    ['a key in no column', () => orders.as('other', { shop: '' }), /name the column in which shop stands/],
    ['a feature that is not there', () => other.pick('nobody' as 'orders_1h'), /no feature "nobody"/],
  ])('%s is refused', (_, make, sentence) => {
    expect(refusal(make)).toMatch(sentence)
  })
})

describe('on-demand features', () => {
  test('a good definition has its defaults', () => {
    expect(basket).toMatchObject({ kind: 'on_demand', name: 'basket', codeHash: null })
    expect(onDemand({ ...definition, request: undefined, reads: undefined })).toMatchObject({
      ...{ request: {}, reads: [] },
    })
  })

  const wrong = (changes: object) => refusal(() => onDemand({ ...definition, ...changes }))
  test.each([
    ['no features', { features: {} }, /on-demand features basket: features: name the features/],
    ['a request of no type', { request: { price: 'float' } }, /request\.price/],
    ['reads that are no selection', { reads: [orders] }, /reads\.0: must be a selection of features/],
    ['an unknown field', { colour: 'red' }, /colour/],
    [
      'two groups of one feature',
      { reads: [orders.pick('orders_1h'), visits.pick('orders_1h')] },
      /the feature visits_v1\.orders_1h and the feature orders_v1\.orders_1h are both called orders_1h.*in a role/,
    ],
    [
      'a request value of a feature that is read',
      { request: { mean_price_1d: 'float64' } },
      /the request value mean_price_1d and the feature orders_v1\.mean_price_1d are both called mean_price_1d/,
    ],
    [
      'what it makes under the name of what it reads',
      { features: { mean_price_1d: feature('float64') } },
      /the feature mean_price_1d that the function makes and the feature orders_v1\.mean_price_1d are/,
    ],
    [
      'what it makes under the name of a request value',
      { features: { price: feature('float64') } },
      /that the function makes and the request value price are both called price/,
    ],
    ['a reserved name', { features: { run_id: feature('string') } }, /a column that every table has/],
    [
      'a default of another type',
      { features: { dearness: feature('float64', { default: 'none' }) } },
      /feature dearness: the default "none" is no float64/,
    ],
  ])('%s: refused', (_, changes, sentence) => {
    expect(wrong(changes)).toMatch(sentence)
  })

  test('one feature is read once in each role', () => {
    const reads = [orders.pick('orders_1h'), other.pick('orders_1h')]
    expect(onDemand({ ...definition, reads }).reads).toBe(reads)
  })
})

describe('a service', () => {
  const service = (features: unknown[], made: unknown[] = []) =>
    featureService({ name: 'model', features, onDemand: made } as Parameters<typeof featureService>[0])
  const made = (changes: object) => onDemand({ ...definition, ...changes })

  test('takes a group twice under other keys, and two groups that have a feature of one name', () => {
    const columns = [orders.pick('orders_1h'), other.pick('orders_1h'), visits.pick('orders_1h')]
    expect(service(columns, [basket]).features).toBe(columns)
  })

  test('takes a key, and one request value for several functions', () => {
    const request = { price: 'float64', shop: 'int64', other_shop: 'int64' }
    const second = made({ name: 'second', request, features: { cheapness: feature('float64') } })
    expect(service([other], [basket, second]).onDemand).toEqual([basket, second])
  })

  test.each<[string, unknown[], unknown[], RegExp]>([
    [
      'what is not on demand',
      [orders.pick('orders_1h')],
      [orders],
      /onDemand\.0: must be on-demand features/,
    ],
    [
      'a feature twice in a role',
      [other.pick('orders_1h'), other.pick('orders_1h')],
      [],
      /feature service model: orders_v1\.orders_1h as other is there twice/,
    ],
    [
      'a role of two groups that have a feature of one name',
      [other.pick('orders_1h'), visits.as('other', {}).pick('orders_1h')],
      [],
      /orders_v1\.orders_1h as other and visits_v1\.orders_1h as other would both be called other__orders_1h/,
    ],
    [
      'a role with two meanings',
      [other.pick('orders_1h'), orders.as('other', { shop: 'third' }).pick('mean_price_1d')],
      [],
      /orders_v1 as other is looked up by country, shop from other_shop and by country, shop from third/,
    ],
    [
      'a role that a function reads with another meaning',
      [other.pick('orders_1h')],
      [made({ reads: [orders.as('other', {}).pick('orders_1h')] })],
      /orders_v1 as other is looked up by country, shop from other_shop and by country, shop\./,
    ],
    [
      'on-demand features twice',
      [orders.pick('orders_1h')],
      [basket, made({ features: { more: feature('float64') } })],
      /on-demand features basket are there twice/,
    ],
    [
      'two functions that make one feature',
      [orders.pick('orders_1h')],
      [basket, made({ name: 'second' })],
      /the feature dearness of on-demand features second and the feature dearness of on-demand features basket/,
    ],
    [
      'what is made under the name of a stored feature',
      [orders.pick('orders_1h')],
      [made({ features: { orders_1h: feature('int64') } })],
      /the feature orders_1h of on-demand features basket and the feature orders_v1\.orders_1h are both called orders_1h/,
    ],
    [
      'what is made under the name of a request value of another function',
      [orders.pick('orders_1h')],
      [basket, made({ name: 'second', request: {}, features: { price: feature('float64') } })],
      /the feature price of on-demand features second and the request value price of on-demand features basket/,
    ],
    [
      'what is made under the name of a key',
      [other.pick('orders_1h')],
      [made({ features: { other_shop: feature('int64') } })],
      /the feature other_shop of on-demand features basket and the key other_shop/,
    ],
    [
      'a request value under the name of a stored feature',
      [orders.pick('orders_1h')],
      [made({ request: { orders_1h: 'int64' } })],
      /the request value orders_1h of on-demand features basket and the feature orders_v1\.orders_1h/,
    ],
    [
      'a request value of two types',
      [orders.pick('orders_1h')],
      [basket, made({ name: 'second', request: { price: 'int64' }, features: { more: feature('float64') } })],
      /request value price of on-demand features second is int64, and the request value price of on-demand features basket is float64/,
    ],
    [
      'a request value of another type than the key',
      [orders.pick('orders_1h')],
      [made({ request: { shop: 'string' } })],
      /the request value shop of on-demand features basket is string, and the key shop is int64/,
    ],
  ])('%s: refused', (_, features, onDemands, sentence) => {
    expect(refusal(() => service(features, onDemands))).toMatch(sentence)
  })

  test('its on-demand features are among the definitions, exported or not', () => {
    const model = service([orders.pick('orders_1h')], [basket])
    const alone = made({ name: 'alone' })
    expect([...collectDefinitions({ model, alone, again: basket }).onDemand]).toEqual([
      ['basket', basket],
      ['alone', alone],
    ])
    expect(refusal(() => collectDefinitions({ model, twin: onDemand(definition) }))).toMatch(
      /on-demand definition basket is defined twice/,
    )
  })
})
