/** On-demand features: one call of their function, and the check that it is pure and copes with what may come. */
import { describe, expect, test } from 'vitest'
import {
  entity,
  feature,
  InputError,
  onDemand,
  parquet,
  queryGroup,
  type FeatureType,
  type OnDemandFunction,
  type OnDemandInput,
  runOnDemand,
} from '../../model/index.ts'
import { checkOnDemandPurity } from '../../offline/index.ts'
import { syntheticInputs } from '../../offline/syntheticInputs.ts'

const types: Readonly<Record<string, FeatureType>> = {
  ...{ mean: 'float64', orders: 'int64', since: 'timestamp', last: 'list<string>', place: 'vector<3>' },
  filled: 'int32',
}
const shops = queryGroup({
  ...{ name: 'shops', version: 1, owner: 'o@example.com', description: 'd', every: '1d', sql: 'SELECT 1' },
  entity: entity({ name: 'shop', keys: { shop: 'int64' } }),
  sources: [parquet({ name: 'orders', path: 'nowhere', timestamp: 'at', timeZone: 'UTC' })],
  features: Object.fromEntries(
    Object.entries(types).map(([name, type]) => [
      name,
      feature(type, name === 'filled' ? { default: 0 } : {}),
    ]),
  ),
})
const reads = [shops.pick(...Object.keys(types)), shops.as('other', { shop: 'other_shop' }).pick('mean')]

const madeBy = (compute: OnDemandFunction, features = { out: feature('string') }) =>
  onDemand({ name: 'basket', request: { price: 'int64', at_home: 'boolean' }, reads, features, compute })

const input: OnDemandInput = {
  request: { price: 5n, at_home: null },
  features: {
    ...{ mean: 1.5, orders: 7n, since: 86_400_000.5, last: ['a', 'b'], place: [1, 2, 3], filled: 0 },
    other__mean: null,
  },
  at: Date.UTC(2024, 0, 2),
}

const refusal = (make: () => unknown): string | null => {
  try {
    make()
    return null
  } catch (error) {
    if (error instanceof InputError) return error.message
    throw error
  }
}

describe('one call', () => {
  test('gives the features in the order of the definition, as values of their types', () => {
    const features = {
      ...{ text: feature('string'), whole: feature('int64'), left: feature('float64') },
      ...{ moment: feature('timestamp'), list: feature('list<int32>') },
    }
    const { compute } = madeBy(() => ({}))
    expect(compute(input)).toEqual({})
    const made = onDemand({
      ...{ name: 'basket', features },
      compute: ({ at }) => ({ list: [1, 2], moment: at, whole: 3, text: 'x' }),
    })
    expect(runOnDemand(made, input)).toEqual([...['x', 3n, null], BigInt(input.at) * 1000n, [1, 2]])
  })

  const where =
    /^on-demand features basket: the function for the request \{"price":"5","at_home":null\} at 2024-01-02T00:00:00Z /
  test.each<[string, (given: OnDemandInput) => unknown, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('no idea')
      },
      /threw: no idea$/,
    ],
    ['changes the request', ({ request }) => Object.assign(request, { price: 0n }), /threw: Cannot assign/],
    ['changes a list', ({ features }) => (features['last'] as string[]).push('b'), /threw: Cannot add/],
    ['returns no object', () => 3, /returned 3\. Return an object/],
    ['returns a promise', () => Promise.resolve({}), /returned a promise/],
    ['returns another field', () => ({ outt: 'a' }), /returned outt, which is no feature.*It has out/],
    ['returns another type', () => ({ out: 3n }), /returned out = "?3"?, which is no string/],
  ])('of a function that %s names the definition, the request and its time', (_, compute, sentence) => {
    const said = refusal(() => runOnDemand(madeBy(compute as OnDemandFunction), input))
    expect(said).toMatch(where)
    expect(said).toMatch(sentence)
    expect(input.request['price']).toBe(5n)
  })
})

describe('made-up inputs', () => {
  const names = Object.entries(types).map(([name, type]) => ({ name, type, nullable: name !== 'filled' }))
  const inputs = syntheticInputs(names)

  test('are the same every time', () => {
    expect(syntheticInputs(names)).toEqual(inputs)
  })

  test('are of the declared types, with each value null in turn, all of them, and the ends of the types', () => {
    const nulls = inputs.filter(({ isOrdinary }) => isOrdinary).map((one) => one.nulls.join())
    const nullable = names.filter((one) => one.nullable).map(({ name }) => name)
    expect(new Set(nulls)).toEqual(new Set(['', ...nullable, nullable.join()]))
    for (const { values, nulls: missing } of inputs) {
      for (const { name, type } of names) {
        const value = values[name]
        if (missing.includes(name)) expect(value).toBeNull()
        else if (type === 'int64') expect(typeof value).toBe('bigint')
        else if (type === 'vector<3>') expect(value).toHaveLength(3)
        else if (type === 'list<string>') expect(Array.isArray(value)).toBe(true)
        else expect(typeof value).toBe('number')
      }
    }
    const of = (name: string) => inputs.map(({ values }) => values[name])
    expect(of('orders')).toContain(2n ** 63n - 1n)
    expect(of('mean').some((value) => Number.isNaN(value))).toBe(true)
    expect(of('since').some((ms) => ms !== null && !Number.isInteger(ms))).toBe(true)
    expect(of('filled')).not.toContain(null)
  })
})

describe('the check of purity', () => {
  const verdict = (compute: OnDemandFunction, features?: { out: ReturnType<typeof feature> }) =>
    refusal(() =>
      checkOnDemandPurity(madeBy(compute, features as never), (_, name) => types[name] as FeatureType),
    )

  test.each<[string, OnDemandFunction]>([
    ['the time in UTC', ({ at }) => ({ out: new Date(at).toISOString() })],
    ['what is there', ({ features }) => ({ out: typeof features['mean'] === 'number' ? 'there' : 'gone' })],
    ['a default that is never null', ({ features }) => ({ out: (features['filled'] as number).toFixed(1) })],
    ['nothing', () => ({})],
    [
      'an honest failure at the end of a type',
      ({ request: { price } }) => {
        if (typeof price === 'bigint' && price > 2n ** 62n) throw new Error('too dear')
        return { out: String(price) }
      },
    ],
  ])('lets %s pass', (_, compute) => {
    expect(verdict(compute)).toBeNull()
  })

  test.each<[string, () => OnDemandFunction, RegExp]>([
    [
      'the clock',
      () => () => ({ out: String(Date.now()) }),
      /feature out is not pure: the function touched the clock/,
    ],
    ['chance', () => () => ({ out: String(Math.random()) }), /touched chance/],
    [
      'swallowed chance',
      () => () => {
        try {
          return { out: String(Math.random()) }
        } catch {
          return { out: 'a' }
        }
      },
      /touched chance/,
    ],
    [
      "the machine's locale",
      () =>
        ({ at }) => ({ out: at.toLocaleString() }),
      /touched the machine's locale/,
    ],
    [
      'the time zone of an instant that it reads',
      () =>
        ({ features }) => ({
          out: features['since'] === null ? '' : String(new Date(features['since'] as number).getHours()),
        }),
      /feature out is not pure: for the request \{"price".*\} with the features \{.*\} at .* gave ".*", and ".*" for the same values under another time zone/,
    ],
    [
      'the request before',
      () => {
        let before = ''
        return ({ at }) => {
          const out = before
          before = String(at)
          return { out }
        }
      },
      /not pure: .* with the requests in another order/,
    ],
    [
      'the time zone, in what it throws at the end of a type',
      () =>
        ({ request: { price }, at }) => {
          if (typeof price === 'bigint' && price > 2n ** 62n) throw new Error(String(new Date(at)))
          return {}
        },
      /not pure: .* gave "the error: .*threw/,
    ],
  ])('refuses %s', (_, make, sentence) => {
    expect(verdict(make())).toMatch(/^on-demand features basket: feature/)
    expect(verdict(make())).toMatch(sentence)
  })

  test('refuses what throws on null, and says that values may be null', () => {
    expect(verdict(({ features }) => ({ out: (features['mean'] as number).toFixed(2) }))).toMatch(
      /^on-demand features basket: the function for the request .* threw: Cannot read properties of null.*\. Here mean is null: values may be null.*Look for null first/,
    )
    expect(verdict(({ request }) => ({ out: String(BigInt(request['price'] as string)) }))).toMatch(
      /threw: Cannot convert null to a BigInt\. Here price is null/,
    )
    const types = { out: feature('int32') }
    expect(verdict(({ request }) => ({ out: request['at_home'] === null ? 0.5 : 1 }), types)).toMatch(
      /returned out = 0\.5, which is no int32\. Here at_home is null/,
    )
  })

  test('refuses what throws on any ordinary value, and shows it', () => {
    expect(
      verdict(({ request, features }) => ({
        out: String(Number(features['mean']) * (request['price'] as never)),
      })),
    ).toMatch(/threw: Cannot mix BigInt and other types.* With the features \{"mean":.*any request may bring/)
  })
})
