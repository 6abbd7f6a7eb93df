/**
 * Gates that the compiler refuses before anything runs. Nothing here is executed: `tsc` fails where one of these
 * compiles.
 */
import {
  allowedValues,
  count,
  coverage,
  entity,
  featureGroup,
  jensenShannon,
  knownValues,
  parquet,
  psi,
  queryGate,
} from '../../model/index.ts'

const good = {
  name: 'shop_orders',
  version: 1,
  owner: 'a@example.com',
  description: 'Orders',
  entity: entity({ name: 'shop', keys: { shop: 'string' } }),
  source: parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC' }),
  every: '1h',
  features: { orders_1h: count({ over: '1h' }) },
} as const
const fixture = { keys: { shop: 'a' }, at: '2024-01-02', feature: 'orders_1h', value: 1 } as const

export const accepted = () =>
  featureGroup({
    ...good,
    gates: [
      allowedValues('orders_1h', [1]),
      coverage({ min: 1 }),
      psi('orders_1h', { max: 1 }),
      jensenShannon('orders_1h', { max: 1 }),
      knownValues([fixture]),
      queryGate('none', 'SELECT 1'),
    ],
  })

export const refused = [
  // @ts-expect-error allowed values are of a feature that the group has
  () => featureGroup({ ...good, gates: [allowedValues('nobody', [1])] }),
  // @ts-expect-error a drift is that of a feature that the group has
  () => featureGroup({ ...good, gates: [psi('nobody', { max: 1 })] }),
  // @ts-expect-error a drift is that of a feature that the group has
  () => featureGroup({ ...good, gates: [jensenShannon('nobody', { max: 1 })] }),
  // @ts-expect-error a known value is one of a feature that the group has
  () => featureGroup({ ...good, gates: [knownValues([{ ...fixture, feature: 'nobody' }])] }),
  // @ts-expect-error a known value names its time
  () => knownValues([{ keys: { shop: 'a' }, feature: 'orders_1h', value: 1 }]),
  // @ts-expect-error a drift has a bound
  () => psi('orders_1h', { bins: 10 }),
  // @ts-expect-error a coverage has a least share
  () => coverage({}),
  // @ts-expect-error allowed values are a list
  () => allowedValues('orders_1h', 1),
  // @ts-expect-error a query gate has a name and a query
  () => queryGate('SELECT 1'),
  // @ts-expect-error a gate blocks or warns
  () => coverage({ min: 1, onViolation: 'ignore' }),
]
