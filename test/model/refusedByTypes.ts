/**
 * What the compiler refuses before anything runs. Nothing here is executed: `tsc` fails where one of these compiles.
 */
import {
  count,
  entity,
  feature,
  featureGroup,
  gt,
  inRange,
  lastK,
  mean,
  onDemand,
  parquet,
  quantile,
  topK,
  windows,
} from '../../model/index.ts'

const features = { orders_1h: count({ over: '1h' }) }
const good = {
  name: 'shop_orders',
  version: 1,
  owner: 'a@example.com',
  description: 'Orders',
  entity: entity({ name: 'shop', keys: { shop: 'string' } }),
  source: parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC' }),
  every: '1h',
  features,
} as const

const made = { name: 'basket', features: { dear: feature('boolean'), cheap: feature('boolean') } } as const

const orders = windows('orders', ['1h', '1d'], (over) => count({ over }))

export const refused = [
  // @ts-expect-error a window is a duration, not a number
  () => count({ over: 24 }),
  // @ts-expect-error a duration has a unit
  () => mean('price', { over: '24' }),
  // @ts-expect-error a gate needs a feature of its group
  () => featureGroup({ ...good, gates: [inRange('nobody', 0, 1)] }),
  // @ts-expect-error a service picks features that the group has
  () => featureGroup(good).pick('nobody'),
  // @ts-expect-error a key has one of the key types
  () => entity({ name: 'a', keys: { b: 'float' } }),
  // @ts-expect-error Parquet says the types of its columns itself
  () => parquet({ name: 'orders', path: 'orders', timestamp: 'at', columns: { price: 'float64' } }),
  // @ts-expect-error a local time that exists twice is the earlier or the later
  () => parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC', ambiguous: 'both' }),
  // @ts-expect-error a comparison needs a value
  () => gt('price'),
  // @ts-expect-error the only window without a length is 'unbounded' (rule 3)
  () => count({ over: 'forever' }),
  // @ts-expect-error a quantile says which one
  () => quantile('price', { over: '1h' }),
  // @ts-expect-error the k greatest are a column's
  () => topK(3, { over: '1h' }),
  // @ts-expect-error a condition is made by eq, gt, … or sql('…'), never bare text
  () => count({ over: '1h', where: 'price > 10' }),
  // @ts-expect-error a default is a value of the feature's type, and a mean is a number (rule 10)
  () => mean('price', { over: '1h', default: 'none' }),
  // @ts-expect-error a default of a list is a list (rule 10)
  () => lastK('price', 3, { over: '1h', default: 0 }),
  // @ts-expect-error several windows are durations too
  () => windows('orders', ['24'], (over) => count({ over })),
  // @ts-expect-error a gate needs a feature of its group, and this line makes orders_1h and orders_1d only
  () => featureGroup({ ...good, features: { ...orders }, gates: [inRange('orders_7d', 0, 1)] }),
  // @ts-expect-error buckets say how many they are
  () => featureGroup({ ...good, buckets: { key: 'shop' } }),
  // @ts-expect-error and of one key
  () => featureGroup({ ...good, buckets: { key: ['shop'], count: 4 } }),
  // @ts-expect-error a group in a role has the features that it has
  () => featureGroup(good).as('other', { shop: 'other_shop' }).pick('nobody'),
  // @ts-expect-error a function on demand makes nothing that it does not declare
  () => onDemand({ ...made, compute: () => ({ nobody: 1 }) }),
  // @ts-expect-error nor beside what it declares
  () => onDemand({ ...made, compute: () => ({ dear: true, nobody: 1 }) }),
  // @ts-expect-error nor in one of its branches
  () => onDemand({ ...made, compute: ({ at }) => (at > 0 ? { dear: true } : { cheap: true, nobody: 1 }) }),
  // @ts-expect-error nor makes it later, for a vector does not wait
  () => onDemand({ ...made, compute: () => Promise.resolve({ dear: true }) }),
  // @ts-expect-error a request value has one of the scalar types
  () => onDemand({ ...made, request: { price: 'list<float64>' }, compute: () => ({ dear: true }) }),
  // @ts-expect-error a feature that is read comes with its group
  () => onDemand({ ...made, reads: ['orders_1h'], compute: () => ({ dear: true }) }),
]

/** What some of them say, said rightly. */
export const allowed = [
  () => featureGroup(good).as('other', { shop: 'other_shop' }).pick('orders_1h'),
  () => onDemand({ ...made, compute: ({ at }) => (at > 0 ? { dear: true } : {}) }),
  () => onDemand({ ...made, compute: (): Readonly<Record<string, unknown>> => ({ dear: true }) }),
  () => featureGroup({ ...good, features: { ...orders }, gates: [inRange('orders_1d', 0, 1)] }),
]
