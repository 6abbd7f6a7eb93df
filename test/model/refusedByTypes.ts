/**
 * What the compiler refuses before anything runs. Nothing here is executed: `tsc` fails where one of these compiles.
 */
import { count, entity, featureGroup, gt, inRange, mean, parquet } from '../../model/index.ts'

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
  // @ts-expect-error a comparison needs a value
  () => gt('price'),
]
