/** POST /online and Feast's question over real HTTP, in front of a real LMDB: services over several groups. */
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode } from '@msgpack/msgpack'
import { pack } from 'msgpackr'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  entity,
  feature,
  featureService,
  onDemand,
  parquet,
  queryGroup,
  type FeatureType,
} from '../../model/index.ts'
import { openLmdb, valueSchema, type FeatureValue, type OnlineStore } from '../../online/index.ts'
import { createReader, servicesOf } from '../../reader/index.ts'

const now = Date.parse('2001-07-01T01:00:00Z')
const hour = 36e5
const closers: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closers.toReversed()) await close()
})

const events = parquet({
  name: 'events',
  path: 'events',
  timestamp: 'at',
  timeZone: 'UTC',
  completeFrom: '2001-01-01',
})
const define = (
  name: string,
  of: ReturnType<typeof entity>,
  features: Record<string, ReturnType<typeof feature>>,
) =>
  queryGroup({
    ...{ name, version: 1, owner: 'a@example.com', description: name, entity: of, sources: [events] },
    ...{ every: '1h', ttl: '7d', sql: 'SELECT * FROM events', features },
  })
const airport = entity({ name: 'airport', keys: { origin: 'string' } })
const driver = entity({ name: 'driver', keys: { driver: 'int64', kind: 'string' } })
const delays = define('delays', airport, {
  mean: feature('float64', { default: 0.5 }),
  departures: feature('int64'),
  seen: feature('timestamp'),
  tags: feature('list<string>'),
})
const trips = define('trips', driver, { trips: feature('int32'), mean: feature('float32') })
const arrival = delays.as('arrival', { origin: 'destination' })
const made = onDemand({
  name: 'made',
  request: { distance: 'int64', share: 'float32', origin: 'string', when: 'timestamp' },
  reads: [delays.pick('departures', 'seen'), arrival.pick('mean')],
  features: {
    sum: feature('int64'),
    third: feature('float32', { default: -1 }),
    seen_again: feature('timestamp'),
    said: feature('string'),
  },
  compute: ({ request, features, at }) => ({
    sum:
      typeof request.distance === 'bigint' && typeof features.departures === 'bigint'
        ? request.distance + features.departures
        : null,
    third: typeof request.share === 'number' ? request.share / 3 : null,
    seen_again: features.seen,
    said: `${String(request.origin)} ${String(request.when)} ${String(features.arrival__mean)} ${at}`,
  }),
})
const model = featureService({
  name: 'model_v1',
  features: [delays.pick('departures', 'mean'), arrival.pick('mean', 'seen', 'tags'), trips.pick('trips')],
  onDemand: [made],
})
const twins = featureService({ name: 'twins_v1', features: [delays.pick('mean'), trips.pick('mean')] })

interface Loaded {
  readonly group: typeof delays
  readonly keys: { readonly name: string; readonly type: 'string' | 'int64' }[]
  readonly types: Record<string, FeatureType>
  readonly rows: readonly (readonly [
    keys: readonly (string | bigint)[],
    at: bigint | null,
    values: readonly FeatureValue[] | null,
  ])[]
}

const order = { incarnation: 1n, sequenceNumber: 1n }
async function load(store: OnlineStore, { group, keys, types, rows }: Loaded, isWhole = true): Promise<void> {
  const defaults: Record<string, FeatureValue> = group === delays ? { mean: 0.5 } : {}
  const card = {
    defaults,
    group: group.id,
    keys,
    schema: valueSchema(Object.entries(types).map(([name, type]) => ({ name, type }))),
    ttlMs: 7 * 24 * hour,
    cadenceMs: hour,
  }
  await store.write(
    card,
    order,
    rows.map(([key, eventTimestampMicros, values]) => ({ keys: key, eventTimestampMicros, values })),
  )
  if (isWhole) await store.finishLoad(group.id, { snapshotId: '77', order, loadedAtMs: now - 2 * hour })
}

const fresh = BigInt(now) * 1000n - 1n
const delayTypes = { mean: 'float64', departures: 'int64', seen: 'timestamp', tags: 'list<string>' } as const
let store: OnlineStore
let base = ''
beforeAll(async () => {
  const path = await mkdtemp(join(tmpdir(), 'asof-vectors-'))
  closers.push(() => rm(path, { recursive: true }))
  store = openLmdb({ path, store: 'test' })
  closers.push(() => store.close())
  await load(store, {
    ...{ group: delays, keys: [{ name: 'origin', type: 'string' }], types: delayTypes },
    rows: [
      [['ATL'], fresh, [1.25, 2n ** 62n, 978_912_000_000_001n, ['a', null, 'b"']]],
      [['JFK'], fresh - 5n, [-0, 7n, null, null]],
      [['OLD'], 0n, [3, 3n, 3n, ['x']]],
      [['NAN'], fresh, [NaN, null, 0n, []]],
      [['GONE'], null, null],
    ],
  })
  await load(store, {
    ...{
      group: trips,
      keys: [
        { name: 'driver', type: 'int64' },
        { name: 'kind', type: 'string' },
      ],
    },
    types: { trips: 'int32', mean: 'float32' },
    rows: [
      [[9_007_199_254_740_993n, 'web'], fresh, [5, Math.fround(0.1)]],
      [[-7n, 'a|b,c\\'], fresh, [6, null]],
    ],
  })
  const app = createReader({
    ...{ store, nowMs: () => now, storeName: 'test', clockNote: null },
    services: servicesOf([model, twins]),
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  closers.push(() => app.close())
  base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
})

async function post(body: unknown, path = '/online', headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(base + path, {
    ...{ method: 'POST', body: text },
    headers: { 'content-type': 'application/json', ...headers },
  })
  const answer = await response.text()
  return { status: response.status, text: answer, body: JSON.parse(answer) as never }
}

const entities = {
  origin: ['ATL', 'JFK', 'XXX', 'OLD', null, 'ATL'],
  destination: ['JFK', 'NAN', 'ATL', 'GONE', 'ATL', 'JFK'],
  driver: ['9007199254740993', -7, 1, 1, 1, '9007199254740993'],
  kind: ['web', 'a|b,c\\', 'web', 'web', 'web', 'web'],
}
const request = {
  distance: [1, '9007199254740993', null, 4, 5, 1],
  share: [0.1, 'NaN', null, 1, 1, 0.1],
  when: ['2001-01-01T00:00:00.000001Z', 1_000_001, null, '2001-01-01', 0, '2001-01-01T00:00:00.000001Z'],
}

describe('vectors of a service', () => {
  test('hold every group under its role, in the order of the model, whatever was found', async () => {
    const { text, status } = await post({ service: 'model_v1', entities, request })
    expect(status).toBe(200)
    const [head, results] = text.split(',"results":')
    expect(JSON.parse(`${head}}`)).toEqual({
      service: 'model_v1',
      as_of: '2001-07-01T01:00:00.000Z',
      groups: [
        { feature_group: 'delays_v1', role: null, age_seconds: 7200, stale: true, snapshot_id: '77' },
        { feature_group: 'delays_v1', role: 'arrival', age_seconds: 7200, stale: true, snapshot_id: '77' },
        { feature_group: 'trips_v1', role: null, age_seconds: 7200, stale: true, snapshot_id: '77' },
      ],
      features: [
        { name: 'departures', type: 'int64', group: 0 },
        { name: 'mean', type: 'float64', group: 0 },
        { name: 'arrival__mean', type: 'float64', group: 1 },
        { name: 'arrival__seen', type: 'timestamp', group: 1 },
        { name: 'arrival__tags', type: 'list<string>', group: 1 },
        { name: 'trips', type: 'int32', group: 2 },
        { name: 'sum', type: 'int64', group: null },
        { name: 'third', type: 'float32', group: null },
        { name: 'seen_again', type: 'timestamp', group: null },
        { name: 'said', type: 'string', group: null },
      ],
    })
    const third = (value: number) => String(Math.fround(Math.fround(value) / 3))
    const values = [...(results ?? '').matchAll(/"values":\[(.*?)\],"statuses"/g)].map(([, one]) => one)
    const first = `4611686018427387904,1.25,-0,null,null,5,4611686018427387905,${third(0.1)},"2001-01-08T00:00:00.000001Z","ATL 978307200000.001 0 ${now}"`
    expect(values).toEqual([
      first,
      `7,-0,"NaN","1970-01-01T00:00:00Z",[],6,9007199254741000,"NaN",null,"JFK 1000.001 NaN ${now}"`,
      `null,0.5,1.25,"2001-01-08T00:00:00.000001Z",["a",null,"b\\""],null,null,-1,null,"XXX null 1.25 ${now}"`,
      `null,0.5,0.5,null,null,null,null,${third(1)},null,"OLD 978307200000 0.5 ${now}"`,
      `null,0.5,1.25,"2001-01-08T00:00:00.000001Z",["a",null,"b\\""],null,null,${third(1)},null,"null 0 1.25 ${now}"`,
      first,
    ])
  })

  test('say of every value whether it is there, and of every group when it happened', async () => {
    const { body } = await post({ service: 'model_v1', entities, request })
    const { results } = body as { results: { statuses: string[]; event_timestamps: (string | null)[] }[] }
    const [present, none, missing, old] = ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']
    expect(results.map(({ statuses }) => statuses.join(' '))).toEqual([
      [present, present, present, none, none, present, present, present, present, present].join(' '),
      [present, present, present, present, present, present, present, present, none, present].join(' '),
      [missing, missing, present, present, present, missing, none, none, none, present].join(' '),
      [old, old, missing, missing, missing, missing, none, present, none, present].join(' '),
      [missing, missing, present, present, present, missing, none, present, none, present].join(' '),
      [present, present, present, none, none, present, present, present, present, present].join(' '),
    ])
    expect(results.slice(0, 4).map(({ event_timestamps: at }) => at)).toEqual([
      ['2001-07-01T00:59:59.999999Z', '2001-07-01T00:59:59.999994Z', '2001-07-01T00:59:59.999999Z'],
      ['2001-07-01T00:59:59.999994Z', '2001-07-01T00:59:59.999999Z', '2001-07-01T00:59:59.999999Z'],
      [null, '2001-07-01T00:59:59.999999Z', null],
      ['1970-01-01T00:00:00Z', null, null],
    ])
  })

  test('are the same as MessagePack, which another library reads', async () => {
    const json = (await post({ service: 'model_v1', entities, request })).text
    const packedBody = pack({
      service: 'model_v1',
      request: { ...request, distance: [1, 9_007_199_254_740_993n, null, 4, 5, 1] },
      entities: { ...entities, driver: [9_007_199_254_740_993n, -7, 1, 1, 1, 9_007_199_254_740_993n] },
    })
    const response = await fetch(`${base}/online`, {
      ...{ method: 'POST', body: packedBody },
      headers: { 'content-type': 'application/msgpack', accept: 'application/msgpack' },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/msgpack'])
    const answer = decode(await response.arrayBuffer(), { useBigInt64: true }) as {
      results: { values: unknown[]; event_timestamps: unknown[]; statuses: string[] }[]
      features: unknown[]
      as_of: unknown
    }
    const [first, second, , old] = answer.results
    expect(first?.values).toEqual([
      ...[2n ** 62n, 1.25, -0, null, null, 5, 2n ** 62n + 1n],
      ...[Math.fround(Math.fround(0.1) / 3), 978_912_000_000_001n, `ATL 978307200000.001 0 ${now}`],
    ])
    expect(second?.values.slice(2, 5)).toEqual([NaN, 0n, []])
    expect(old?.event_timestamps).toEqual([0n, null, null])
    const fromJson = JSON.parse(json) as typeof answer
    expect(answer.results.map(({ statuses }) => statuses)).toEqual(
      fromJson.results.map(({ statuses }) => statuses),
    )
    expect(answer.features).toEqual(fromJson.features)
    expect(answer.as_of).toBe(BigInt(now) * 1000n)
  })

  test('of a list of features, in roles and under full names', async () => {
    const role = { group: 'delays_v1', features: ['mean'], as: 'home', keys: { origin: 'base' } }
    const asked = { features: ['trips_v1:mean', role, 'delays_v1:mean'], full_names: true }
    const { body, status } = await post({
      ...asked,
      entities: { base: ['ATL'], origin: ['JFK'], driver: [-7], kind: ['a|b,c\\'] },
    })
    expect(status).toBe(200)
    const { features, results } = body as { features: { name: string }[]; results: { values: unknown[] }[] }
    expect(features.map(({ name }) => name)).toEqual(['trips_v1__mean', 'home__mean', 'delays_v1__mean'])
    expect(results[0]?.values).toEqual([null, 1.25, -0])
  })

  test('of no rows are none', async () => {
    const { body } = await post({ features: ['delays_v1:mean'], entities: { origin: [] } })
    expect(body).toMatchObject({ results: [], features: [{ name: 'mean' }] })
  })
})

const one = { features: ['delays_v1:mean'], entities: { origin: ['ATL'] } }
const service = {
  service: 'model_v1',
  entities: { origin: ['ATL'], destination: ['JFK'], driver: [1], kind: ['web'] },
}
const asked = { distance: [1], share: [1], when: [0] }
test.each<[string, unknown, number, RegExp]>([
  ['no JSON', '{"service":', 400, /no JSON that can be read/],
  ['no object', [1], 400, /body is no object.*such as/],
  ['another field', { ...one, feature: 1 }, 400, /no field "feature". There are service, features/],
  ['neither service nor features', { entities: {} }, 400, /either a service or a list/],
  ['both', { ...one, service: 'a' }, 400, /either a service or a list/],
  [
    'a service that is none',
    { ...one, features: undefined, service: 'delay' },
    404,
    /no feature service "delay". There is model_v1, twins_v1/,
  ],
  [
    'a group that is none',
    { ...one, features: ['delay_v1:mean'] },
    404,
    /no feature group "delay_v1".*delays_v1, trips_v1/,
  ],
  [
    'a feature that is none',
    { ...one, features: ['delays_v1:men'] },
    400,
    /delays_v1 has no feature "men". It has mean, departures/,
  ],
  [
    'a name that is none',
    { ...one, features: ['mean'] },
    400,
    /"mean" names no feature. Write <group>:<feature>/,
  ],
  [
    'columns of two lengths',
    { ...one, entities: { origin: ['ATL', 'JFK'], driver: [1] } },
    400,
    /origin has 2 values and driver has 1/,
  ],
  ['no list', { ...one, entities: { origin: 'ATL' } }, 400, /"origin" is "ATL", and not a list/],
  ['no column', { ...one, entities: {} }, 400, /entities has no column/],
  [
    'a key that is missing',
    { ...one, entities: { orign: ['ATL'] } },
    400,
    /entities lacks "origin", by which feature group delays_v1 is looked up. It has "orign"/,
  ],
  [
    'a column too many',
    { ...one, entities: { origin: ['ATL'], kind: ['a'] } },
    400,
    /has "kind", by which nothing is looked up. The keys are origin/,
  ],
  [
    'a key of another type',
    { ...one, entities: { origin: [1] } },
    400,
    /origin, row 1: key origin: 1 is no string. Send it in quotes/,
  ],
  [
    'a key that JSON rounded',
    { features: ['trips_v1:trips'], entities: { driver: [0.5], kind: ['a'] } },
    400,
    /driver, kind, row 1: key driver: 0.5 is no int64/,
  ],
  [
    'an object as key',
    { features: ['trips_v1:trips'], entities: { driver: [{ a: 1 }], kind: ['a'] } },
    400,
    /\{"a":1\} is no int64/,
  ],
  ['a key of 2 kB', { ...one, entities: { origin: ['x'.repeat(2000)] } }, 400, /2000 bytes long/],
  [
    '1,001 rows',
    { ...one, entities: { origin: Array.from({ length: 1001 }, () => 'ATL') } },
    400,
    /1001 rows, the limit is 1000/,
  ],
  [
    'twins',
    { service: 'twins_v1', entities: { origin: ['ATL'], driver: [1], kind: ['a'] } },
    400,
    /would both be called mean. Ask with "full_names": true/,
  ],
  [
    'request values missing',
    { ...service, request: { distance: [1], when: [0] } },
    400,
    /request lacks "share" \(float32\)/,
  ],
  [
    'request values of another type',
    { ...service, request: { ...asked, distance: ['far'] } },
    400,
    /request, distance, row 1: "far" is no int64. Send a whole number/,
  ],
  [
    'a request time without zone',
    { ...service, request: { ...asked, when: ['2001-01-01T00:00'] } },
    400,
    /is no timestamp. Send an instant/,
  ],
  [
    'request values that nothing asks for',
    { ...one, request: { distance: [1] } },
    400,
    /request has "distance", which nothing asks for/,
  ],
])('%s is refused with the cure', async (_what, body, status, sentence) => {
  const answer = await post(body)
  expect([answer.status, (answer.body as { error: { message: string } }).error.message]).toEqual([
    status,
    expect.stringMatching(sentence),
  ])
})

test('int64 keys keep all their digits in JSON', async () => {
  const text =
    '{"features":["trips_v1:trips"],"entities":{"driver":[9007199254740993,9007199254740992],"kind":["web","web"]}}'
  const { body } = await post(text)
  expect((body as { results: { values: unknown[] }[] }).results.map(({ values }) => values)).toEqual([
    [5],
    [null],
  ])
})

describe("Feast's question", () => {
  test('is answered by column, with its statuses', async () => {
    const { text } = await post(
      {
        features: ['trips_v1:trips', 'delays_v1:seen'],
        entities: { driver: [-7, 1], kind: ['a|b,c\\', 'x'], origin: ['ATL', 'OLD'], more: [1, 2] },
      },
      '/get-online-features',
    )
    const zero = '1970-01-01T00:00:00Z'
    expect(JSON.parse(text)).toEqual({
      metadata: { feature_names: ['driver', 'kind', 'origin', 'trips', 'seen'] },
      results: [
        { values: [-7, 1], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [zero, zero] },
        { values: ['a|b,c\\', 'x'], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [zero, zero] },
        { values: ['ATL', 'OLD'], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [zero, zero] },
        {
          values: [6, null],
          statuses: ['PRESENT', 'NOT_FOUND'],
          event_timestamps: ['2001-07-01T00:59:59.999999Z', zero],
        },
        {
          values: [978912000.000001, null],
          statuses: ['PRESENT', 'OUTSIDE_MAX_AGE'],
          event_timestamps: ['2001-07-01T00:59:59.999999Z', zero],
        },
      ],
    })
  })

  test('may name a service, with request values among the entities', async () => {
    const one = Object.fromEntries(
      Object.entries({ ...entities, ...request }).map(([name, values]) => [name, values.slice(0, 1)]),
    )
    const { body } = await post(
      { feature_service: 'model_v1', entities: one, full_feature_names: true },
      '/get-online-features',
    )
    const { metadata, results } = body as {
      metadata: { feature_names: string[] }
      results: { values: unknown[] }[]
    }
    const names = [
      'delays_v1__departures',
      'delays_v1__mean',
      'arrival__mean',
      'arrival__seen',
      'arrival__tags',
      'trips_v1__trips',
      'sum',
      'third',
      'seen_again',
      'said',
    ]
    expect(metadata.feature_names).toEqual([...Object.keys(one), ...names])
    expect(results[Object.keys(one).length + 1]?.values).toEqual([1.25])
  })

  test('fails as Feast fails', async () => {
    const unknown = await post(
      { features: ['drivers:x'], entities: { origin: ['ATL'] } },
      '/get-online-features',
    )
    expect([unknown.status, JSON.parse(unknown.body as string)]).toMatchObject([
      404,
      { class: 'FeatureViewNotFoundException' },
    ])
    const wrong = await post(
      { features: ['delays_v1:x'], entities: { origin: ['ATL'] } },
      '/get-online-features',
    )
    expect([wrong.status, JSON.parse(wrong.body as string)]).toMatchObject([
      422,
      { message: expect.stringMatching(/no feature "x"/) as string },
    ])
  })
})
