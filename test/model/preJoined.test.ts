/** Which services may be pre-joined, and what is said of the others. */
import { expect, test } from 'vitest'
import {
  count,
  entity,
  feature,
  featureGroup,
  featureService,
  groupIdsOf,
  InputError,
  onDemand,
  parquet,
  type Entity,
  type FeatureSelection,
} from '../../model/index.ts'

const source = parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC' })
const shop = entity({ name: 'shop', keys: { country: 'string', shop: 'int64' } })
const groupOf = (name: string, change: { entity?: Entity; online?: boolean } = {}) =>
  featureGroup({
    ...{ name, version: 1, owner: 'a@example.com', description: 'd', entity: shop, source, every: '1h' },
    features: { [`${name}_1h`]: count({ over: '1h' }) },
    ...change,
  })
const [orders, visits, returns] = [groupOf('orders'), groupOf('visits'), groupOf('returns')]
const reading = (...reads: FeatureSelection[]) =>
  onDemand({ name: 'basket', reads, features: { dear: feature('float64') }, compute: () => ({}) })
const service = (features: readonly FeatureSelection[], reads: readonly FeatureSelection[] = []) =>
  featureService({
    ...{ name: 'model', preJoined: true, features },
    ...(reads.length === 0 ? {} : { onDemand: [reading(...reads)] }),
  })

const all = (group: typeof orders) => group.pick(...Object.keys(group.features))

test('one over groups of one entity may, be they taken or only read by a function', () => {
  const same = groupOf('others', { entity: entity({ name: 'shop', keys: { ...shop.keys } }) })
  expect(service([all(orders), all(visits), all(same)]).preJoined).toBe(true)
  const model = service([all(orders)], [all(returns), all(orders)])
  expect(groupIdsOf(model)).toEqual(['orders_v1', 'returns_v1'])
  expect(featureService({ name: 'model', features: [all(orders)], preJoined: false }).preJoined).toBe(false)
})

const country = groupOf('countries', { entity: entity({ name: 'country', keys: { country: 'string' } }) })
const customer = groupOf('customers', { entity: entity({ name: 'customer', keys: { ...shop.keys } }) })
const turned = groupOf('turned', {
  entity: entity({ name: 'shop', keys: { shop: 'int64', country: 'string' } }),
})
const hidden = groupOf('hidden', { online: false })
const many = Array.from({ length: 256 }, (_, at) => all(groupOf(`many${at}`)))

test.each<[string, readonly FeatureSelection[], readonly FeatureSelection[], RegExp]>([
  [
    'another entity',
    [all(orders), all(country)],
    [],
    /^feature service model: preJoined keeps one value per entity, and feature group orders_v1 is of entity shop \(country: string, shop: int64\), countries_v1 of entity country \(country: string\)\. Take groups of one entity, or leave preJoined out\.$/,
  ],
  ['another entity with the same keys', [all(orders), all(customer)], [], /customers_v1 of entity customer/],
  [
    'keys in another order',
    [all(orders), all(turned)],
    [],
    /turned_v1 of entity shop \(shop: int64, country/,
  ],
  ['another entity that a function reads', [all(orders)], [all(country)], /countries_v1 of entity country/],
  [
    'a role',
    [all(orders), all(visits), orders.as('other', { shop: 'other_shop' })],
    [],
    /feature group orders_v1 is taken as other\. Take it under its own keys, or leave preJoined out/,
  ],
  ['a role under the same keys', [all(orders), visits.as('other', {})], [], /visits_v1 is taken as other/],
  ['a role that a function reads', [all(orders)], [visits.as('other', {})], /visits_v1 is taken as other/],
  [
    'other keys without a role',
    [all(orders), { ...all(visits), keys: { shop: 'other_shop' } }],
    [],
    /visits_v1 is taken by other_shop/,
  ],
  ['one group', [all(orders)], [all(orders)], /joins several.* orders_v1 alone is read as one key anyway/],
  ['a group that is not served', [all(orders), all(hidden)], [], /hidden_v1 says online: false/],
  ['too many groups', many, [], /at most 255 feature groups, and there are 256/],
])('%s: refused', (_, features, reads, sentence) => {
  expect(() => service(features, reads)).toThrow(InputError)
  expect(() => service(features, reads)).toThrow(sentence)
})

test('what is neither true nor false is refused', () => {
  const preJoined = 'yes' as unknown as boolean
  const define = () => featureService({ name: 'model', features: [all(orders), all(visits)], preJoined })
  expect(define).toThrow(/feature service model: preJoined: .*boolean/)
})
