/**
 * What the compiler knows of definitions. Nothing here is executed: `tsc` fails where a type is another one than is said.
 */
import {
  count,
  entity,
  feature,
  featureGroup,
  featureService,
  first,
  gt,
  histogram,
  lastK,
  max,
  mean,
  onDemand,
  parquet,
  quantile,
  queryGroup,
  share,
  sum,
  topK,
  windows,
  type AnyValue,
  type AnyValues,
  type FeatureGroup,
  type FeatureService,
  type InputsIn,
  type OnDemand,
  type Scalar,
  type ValuesIn,
  type WindowOptions,
} from '../../model/index.ts'

/** Of each two types whether they are the same, to the last null; compiled where `yes` may be said of them. */
type Same<A, B> =
  (<Any>(is: Any) => Any extends A ? 1 : 2) extends <Any>(is: Any) => Any extends B ? 1 : 2
    ? 'yes'
    : ['no, this is', A, 'and not', B]
const same = <A, B>(...answers: Same<A, B>[]) => answers

const orders = parquet({ name: 'orders', path: 'orders', timestamp: 'at', timeZone: 'UTC' })
const common = {
  version: 1,
  owner: 'a@example.com',
  description: 'Orders',
  every: '1h',
  entity: entity({ name: 'shop', keys: { country: 'string', shop: 'int64', kind: 'int32' } }),
} as const
const someOptions: WindowOptions<number> = { over: '1h' }

export const shop = featureGroup({
  ...common,
  name: 'shop',
  source: orders,
  features: {
    orders: count({ over: '1h' }),
    priced: count('price', { over: '1h', default: 0 }),
    spent: sum('price', { over: '1h' }),
    mean_price: mean('price', { over: '1h' }),
    median: quantile('price', 0.5, { over: '1h', default: 0 }),
    perhaps: mean('price', someOptions),
    dear: share(gt('price', 9), { over: '1h' }),
    never_null: share(gt('price', 9), { over: '1h', default: 0.5 }),
    dearest: max('price', { over: '1h' }),
    oldest: first('tags', { over: '1h' }),
    top: topK('price', 3, { over: '1h' }),
    latest: lastK('price', 3, { over: '1h', default: [] }),
    spread: histogram('price', [0, 9], { over: '1h' }),
    ...windows('items', ['1h', '24h'], (over) => count({ over })),
  },
})
export const declared = queryGroup({
  ...common,
  name: 'declared',
  sources: [orders],
  sql: 'SELECT 1',
  features: {
    flag: feature('boolean'),
    small: feature('int32'),
    large: feature('int64', { default: 0 }),
    rough: feature('float32'),
    text: feature('string', { description: 'words' }),
    at: feature('timestamp'),
    times: feature('list<timestamp>'),
    tags: feature('list<string>', { default: [] }),
    embedding: feature('vector<384>'),
  },
})
export const other = shop.as('other', { shop: 'other_shop' })
export const basket = onDemand({
  name: 'basket',
  request: { price: 'float64', pieces: 'int64', at_till: 'timestamp', kind: 'int32' },
  reads: [shop.as('third', { country: 'third_country' }).pick('orders'), declared.pick('flag')],
  features: { dear_basket: feature('boolean'), discount: feature('float64', { default: 0 }) },
  compute: () => ({}),
})
export const model = featureService({
  name: 'model',
  features: [shop.pick('orders', 'median'), declared.pick('at'), other.pick('orders')],
  onDemand: [basket],
})

type List<Element> = readonly (Element | null)[]

same<
  ValuesIn<typeof shop>,
  {
    orders: bigint | null
    priced: bigint
    spent: bigint | number | null
    mean_price: number | null
    median: number
    perhaps: number | null
    dear: number | null
    never_null: number
    dearest: Scalar | null
    oldest: AnyValue
    top: readonly Scalar[] | null
    latest: readonly Scalar[]
    spread: readonly bigint[] | null
    items_1h: bigint | null
    items_24h: bigint | null
  }
>('yes')
same<
  ValuesIn<typeof declared>,
  {
    flag: boolean | null
    small: number | null
    large: bigint
    rough: number | null
    text: string | null
    at: bigint | null
    times: List<bigint> | null
    tags: List<string>
    embedding: readonly number[] | null
  }
>('yes')
same<InputsIn<typeof shop>, { country: string; shop: bigint | number; kind: number }>('yes')
same<InputsIn<typeof other>, { country: string; other_shop: bigint | number; kind: number }>('yes')
same<
  InputsIn<typeof basket>,
  {
    price: number
    pieces: bigint | number
    at_till: bigint | Date
    kind: number
    country: string
    third_country: string
    shop: bigint | number
  }
>('yes')
same<
  ValuesIn<typeof model>,
  {
    orders: bigint | null
    median: number
    at: bigint | null
    other__orders: bigint | null
    dear_basket: boolean | null
    discount: number
  }
>('yes')
same<keyof InputsIn<typeof model>, keyof InputsIn<typeof basket> | 'other_shop'>('yes')
same<ValuesIn<FeatureService>, AnyValues>('yes')

/** Whoever takes any definition takes each of these. */
export const any: readonly [FeatureGroup, FeatureGroup, OnDemand, FeatureService] = [
  shop,
  declared,
  basket,
  model,
]

/** Where the compiler does not know which features there are, every name may be one. */
same<ValuesIn<ReturnType<FeatureGroup['pick']>>, { [x: string]: AnyValue }>('yes')

// @ts-expect-error the assertion itself: a count may be null
same<ValuesIn<typeof shop>['orders'], bigint>('yes')
// @ts-expect-error and any is no number
same<ReturnType<typeof JSON.parse>, number>('yes')
