/**
 * What the reader keeps of what it serves, over real HTTP: the same bits, the same verdict when it is judged again, never
 * too many, and never at the cost of an answer.
 */
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
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
import {
  decodeSample,
  formatMicros,
  judgeSample,
  openLmdb,
  openLmdbSamples,
  openRedis,
  openRedisSamples,
  valueJson,
  valueSchema,
  type FeatureValue,
  type GroupFound,
  type GroupSample,
  type OnlineStore,
  type SampleStore,
  type ServiceSample,
} from '../../online/index.ts'
import { createReader, createSampler, servicesOf, type Sampler } from '../../reader/index.ts'
import { reservoir } from '../../reader/reservoir.ts'
import { readConfig } from '../../worker/config.ts'
import { randomFrom } from '../offline/random.ts'
import { allSamples } from '../online/samplesConformance.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('reader-samples')
const now = Date.parse('2001-07-01T01:00:00Z')
const fresh = BigInt(now) * 1000n - 1n
const order = { incarnation: 1n, sequenceNumber: 1n }

const events = parquet({ name: 'events', path: 'events', timestamp: 'at', completeFrom: '2001-01-01' })
const define = (
  name: string,
  of: ReturnType<typeof entity>,
  features: Record<string, ReturnType<typeof feature>>,
) =>
  queryGroup({
    ...{ name, version: 1, owner: 'a@example.com', description: name, entity: of, sources: [events] },
    ...{ every: '1h', ttl: '7d', sql: 'SELECT * FROM events', features },
  })
const delayTypes = { mean: 'float64', departures: 'int64', seen: 'timestamp', tags: 'list<string>' } as const
const delays = define('delays', entity({ name: 'airport', keys: { origin: 'string' } }), {
  ...{ mean: feature('float64', { default: 0.5 }), departures: feature('int64') },
  ...{ seen: feature('timestamp'), tags: feature('list<string>') },
})
const trips = define('trips', entity({ name: 'driver', keys: { driver: 'int64' } }), {
  share: feature('float32'),
})
const arrival = delays.as('arrival', { origin: 'destination' })
const made = onDemand({
  name: 'made',
  request: { distance: 'int64', part: 'float32', when: 'timestamp', said: 'string' },
  reads: [delays.pick('departures')],
  features: {
    sum: feature('int64'),
    third: feature('float32', { default: -1 }),
    again: feature('timestamp'),
  },
  compute: ({ request, features }) => ({
    sum:
      typeof request.distance === 'bigint' && typeof features.departures === 'bigint'
        ? request.distance + features.departures
        : null,
    third: typeof request.part === 'number' ? request.part / 3 : null,
    again: request.when,
  }),
})
const model = featureService({
  name: 'model_v1',
  features: [delays.pick('departures', 'mean'), arrival.pick('mean', 'seen', 'tags'), trips.pick('share')],
  onDemand: [made],
})

type Row = readonly [key: string | bigint, at: bigint | null, values: readonly FeatureValue[] | null]

async function load(
  store: OnlineStore,
  group: string,
  key: { name: string; type: 'string' | 'int64' },
  types: Record<string, FeatureType>,
  rows: readonly Row[],
): Promise<void> {
  const schema = valueSchema(Object.entries(types).map(([name, type]) => ({ name, type })))
  const defaults: Record<string, FeatureValue> = group === delays.id ? { mean: 0.5 } : {}
  const card = { group, keys: [key], schema, defaults, ttlMs: 7 * 864e5, cadenceMs: 36e5 }
  await store.write(
    card,
    order,
    rows.map(([one, eventTimestampMicros, values]) => ({ keys: [one], eventTimestampMicros, values })),
  )
  await store.finishLoad(group, { snapshotId: `77${group.length}`, order, loadedAtMs: now - 36e5 })
}

async function loadAll(store: OnlineStore): Promise<void> {
  await load(store, delays.id, { name: 'origin', type: 'string' }, delayTypes, [
    ['ATL', fresh, [1.25, 2n ** 62n, 978_912_000_000_001n, ['a', null, 'b"']]],
    ['J,F|K', fresh - 5n, [-0, 7n, null, null]],
    ['EDGE', BigInt(now - 7 * 864e5) * 1000n, [NaN, 1n, 0n, []]],
    ['OLD', BigInt(now - 7 * 864e5) * 1000n - 1n, [3, 3n, 3n, ['x']]],
    ['GONE', null, null],
    ...Array.from({ length: 2_000 }, (_, at): Row => [`k${at}`, fresh, [at, BigInt(at), 0n, []]]),
  ])
  await load(store, trips.id, { name: 'driver', type: 'int64' }, { share: 'float32' }, [
    [9_007_199_254_740_993n, fresh, [Math.fround(0.1)]],
  ])
}

interface World {
  readonly store: OnlineStore
  readonly samples: SampleStore
  readonly sampler: Sampler
  readonly said: string[]
  get(ids: string): Promise<{ status: number; text: string }>
  post(body: object, path?: string): Promise<{ status: number; text: string }>
  metrics(): Promise<string>
  end(): Promise<void>
}

/** A reader with a sampler of its own, over stores that outlive it. */
async function readerOf(store: OnlineStore, samples: SampleStore): Promise<World> {
  const said: string[] = []
  const sampler = createSampler({ store: samples, say: (sentence) => said.push(sentence) })
  const app = createReader({
    ...{ store, nowMs: () => now, storeName: 'test', clockNote: null, sampler },
    services: servicesOf([model]),
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(base + path, init)
    return { status: response.status, text: await response.text() }
  }
  return {
    ...{ store, samples, sampler, said },
    get: (ids) => ask(`/feature-groups/${delays.id}/online?entity_ids=${ids}`),
    post: (body, path = '/online') =>
      ask(path, {
        ...{ method: 'POST', body: JSON.stringify(body) },
        headers: { 'content-type': 'application/json' },
      }),
    metrics: async () => (await ask('/metrics')).text,
    async end() {
      await app.close()
      await sampler.close()
    },
  }
}

const groupSamples = async (samples: SampleStore, id: string) =>
  (await allSamples(samples, `group/${id}`)).map((bytes) => decodeSample(bytes) as GroupSample)

async function foundGroup(store: OnlineStore, group: string, keys: readonly string[]): Promise<GroupFound> {
  const [found] = await store.fetch([{ group, keys: () => keys }])
  if (found === null || found === undefined) throw new Error(`no ${group}`)
  return found
}

let redis: TestRedis
const closers: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  for (const close of closers.toReversed()) await close()
  await redis?.end()
})

describe.each(['lmdb', 'redis'])('samples in %s', (kind) => {
  let store: OnlineStore
  let samples: SampleStore
  beforeAll(async () => {
    const path = join(folder, kind)
    store = kind === 'lmdb' ? openLmdb({ path, store: 'test' }) : openRedis({ url: redis.url, store: 'test' })
    samples =
      kind === 'lmdb'
        ? openLmdbSamples({ path: `${path}-samples`, store: 'test' })
        : openRedisSamples({ url: redis.url, store: 'test' })
    closers.push(
      () => store.close(),
      () => samples.close(),
    )
    await loadAll(store)
  })

  test('hold the stored bytes of a group, and are judged as they were served', async () => {
    const world = await readerOf(store, samples)
    const texts = ['ATL', 'J\\,F\\|K', 'EDGE', 'OLD', 'GONE', 'NOBODY']
    const answers: string[] = []
    for (const text of texts) answers.push((await world.get(encodeURIComponent(text))).text)
    await expect.poll(() => world.sampler.counts().written, { timeout: 10_000 }).toBe(texts.length)
    const metrics = await world.metrics()
    expect(metrics).toContain(`\nasof_reader_samples_written_total ${texts.length}\n`)
    expect(metrics).toMatch(/\nasof_reader_samples_lost_total 0\n[^]*\nasof_reader_samples_waiting_bytes 0\n/)
    const found = await foundGroup(store, delays.id, texts)
    const kept = (await groupSamples(samples, delays.id)).reverse()
    expect(kept.map(({ key }) => key)).toEqual(texts)
    expect(kept.map(({ value }) => value?.toString('hex') ?? null)).toEqual(
      found.values.map((value) => value?.toString('hex') ?? null),
    )
    for (const [at, sample] of kept.entries()) {
      expect(sample).toMatchObject({ atMicros: BigInt(now) * 1000n, snapshotId: '779', ttlMs: 7 * 864e5 })
      const { eventTimestampMicros: micros, features } = judgeSample(found, sample)
      const again = features.map(
        ({ name, type, status, value }) =>
          `"${name}":{"value":${valueJson(type, value)},"status":"${status}"}`,
      )
      expect(answers[at]).toContain(
        `"event_timestamp":${micros === null ? 'null' : `"${formatMicros(micros)}"`},"features":{${again.join(',')}}`,
      )
    }
    const statuses = kept.map((sample) => judgeSample(found, sample).features[1]?.status)
    const [present, old, missing] = ['PRESENT', 'OUTSIDE_MAX_AGE', 'NOT_FOUND']
    expect(statuses).toEqual([present, present, present, old, missing, missing])
    await world.end()
  })

  test('hold the vector of a service with what was asked, and a read of each of its groups', async () => {
    await samples.drop(`group/${delays.id}`)
    const world = await readerOf(store, samples)
    const rows = [
      { origin: 'ATL', destination: 'EDGE', driver: '9007199254740993' },
      { origin: 'OLD', destination: null, driver: 5 },
    ]
    const requests = [
      { distance: '1', part: 0.1, when: '2001-01-01T00:00:00.000001Z', said: 'é' },
      { distance: null, part: 'NaN', when: null, said: '' },
    ]
    const columns = (row: object) =>
      Object.fromEntries(Object.entries(row).map(([name, one]) => [name, [one]]))
    const answers: string[] = []
    for (const [at, row] of rows.entries()) {
      const body = { service: model.name, entities: columns(row), request: columns(requests[at] ?? {}) }
      answers.push((await world.post(body)).text)
    }
    await world.post(
      {
        feature_service: model.name,
        entities: { ...columns(rows[0] ?? {}), ...columns(requests[0] ?? {}), more: [1] },
      },
      '/get-online-features',
    )
    await world.end()
    const kept = (await allSamples(samples, `service/${model.name}`))
      .map((bytes) => decodeSample(bytes) as ServiceSample)
      .reverse()
    expect(kept).toHaveLength(3)
    for (const [at, answer] of answers.entries()) {
      const { values, statuses, features, lookups } = kept[at] as ServiceSample
      const times = lookups.map(({ eventTimestampMicros: micros }) =>
        micros === null ? 'null' : `"${formatMicros(micros)}"`,
      )
      const again = values.map((value, place) => valueJson(features[place]?.type ?? 'string', value))
      expect(answer).toContain(
        `"results":[{"values":[${again.join(',')}],"statuses":${JSON.stringify(statuses)},"event_timestamps":[${times.join(',')}]}]`,
      )
    }
    const [first, second, feast] = kept
    expect(first).toMatchObject({
      ...{ atMicros: BigInt(now) * 1000n, entities: rows[0] },
      request: {
        ...{ distance: 1n, part: Math.fround(0.1), said: 'é' },
        when: BigInt(Date.parse('2001-01-01T00:00:00Z')) * 1000n + 1n,
      },
      lookups: [
        { group: delays.id, role: null, key: 'ATL', snapshotId: '779', ttlMs: 7 * 864e5 },
        { group: delays.id, role: 'arrival', key: 'EDGE' },
        { group: trips.id, role: null, key: '9007199254740993', snapshotId: '778' },
      ],
    })
    expect(first?.features.map(({ name, lookup }) => `${lookup}.${name}`)).toEqual([
      ...['0.departures', '0.mean', '1.mean', '1.seen', '1.tags', '2.share'],
      ...['null.sum', 'null.third', 'null.again'],
    ])
    expect(second).toMatchObject({
      entities: { origin: 'OLD', destination: null, driver: 5n },
      request: { distance: null, part: NaN, when: null, said: '' },
      lookups: [
        { key: 'OLD' },
        { key: null, eventTimestampMicros: null },
        { key: '5', eventTimestampMicros: null },
      ],
    })
    expect(feast).toEqual(first)
    // Of each request one row of each group; where its key was null, none.
    const read = (await groupSamples(samples, delays.id)).map(({ key }) => key).sort()
    expect(read).toEqual(['ATL', 'ATL', 'EDGE', 'EDGE', 'OLD'])
    expect((await groupSamples(samples, trips.id)).map(({ key }) => key)).toEqual([
      ...['9007199254740993', '5', '9007199254740993'],
    ])
  })

  test('a request gives one row, and a second no more than a hundred, chosen among all of them', async () => {
    await samples.drop(`group/${delays.id}`)
    const rows = await readerOf(store, samples)
    for (let n = 0; n < 40; n++) {
      const body = { features: ['delays_v1:mean'], entities: { origin: [null, 'ATL', null, 'OLD'] } }
      expect((await rows.post(body)).status).toBe(200)
    }
    await rows.end()
    // Which row it is, is left to chance; one with a null key reads nothing.
    const two = await groupSamples(samples, delays.id)
    expect(new Set(two.map(({ key }) => key))).toEqual(new Set(['ATL', 'OLD']))
    const found = await foundGroup(store, delays.id, ['ATL', 'OLD'])
    for (const { key, value } of two) expect(value).toEqual(found.values[key === 'ATL' ? 0 : 1])

    await samples.drop(`group/${delays.id}`)
    const world = await readerOf(store, samples)
    const many = Array.from({ length: 500 }, (_, at) => `k${at}`).join(',')
    await world.get(many)
    await world.end()
    expect(await groupSamples(samples, delays.id)).toHaveLength(1)
    await samples.drop(`group/${delays.id}`)

    const busy = await readerOf(store, samples)
    const started = performance.now()
    for (let from = 0; from < 1_500; from += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, at) => busy.get(`k${from + at}`)))
    }
    await busy.end()
    const seconds = (performance.now() - started) / 1000
    const keys = (await groupSamples(samples, delays.id)).map(({ key }) => Number(key.slice(1)))
    expect(keys.length).toBeGreaterThanOrEqual(25)
    // A write at its end besides those of whole seconds.
    expect(keys.length).toBeLessThanOrEqual(25 * Math.floor(seconds + 1))
    expect(busy.sampler.counts()).toMatchObject({ written: keys.length, lost: 0, bytesWaiting: 0 })
    // Of one burst the first ones alone would be no sample of it.
    expect(keys.filter((key) => key >= 750).length).toBeGreaterThan(2)
    expect(new Set(keys).size).toBe(keys.length)
  })
})

describe('a store of samples that is away', () => {
  let store: OnlineStore
  let server: TestRedis
  beforeAll(async () => {
    server = await startRedis()
    store = openLmdb({ path: join(folder, 'away'), store: 'test' })
    closers.push(
      () => store.close(),
      () => server.end(),
    )
    await loadAll(store)
  })
  const samplesOf = () => openRedisSamples({ url: server.url, store: 'test', timeoutMs: 500 })

  test.each(['killed', 'paused'])('%s, it costs no answer and no memory, and is used again', async (how) => {
    const samples = samplesOf()
    const world = await readerOf(store, samples)
    if (how === 'killed') await server.kill()
    else server.pause()
    let most = 0
    for (const deadline = Date.now() + 3_500; Date.now() < deadline;) {
      const answers = await Promise.all(Array.from({ length: 25 }, (_, at) => world.get(`k${at}`)))
      expect(answers.every(({ status }) => status === 200)).toBe(true)
      most = Math.max(most, world.sampler.counts().bytesWaiting)
    }
    const { written, lost } = world.sampler.counts()
    expect(written).toBe(0)
    expect(lost).toBeGreaterThan(25)
    // What is being written, and what was chosen meanwhile.
    expect(most).toBeLessThanOrEqual(2 * 25 * 300)
    expect(world.said).toEqual([expect.stringMatching(/^Served samples are lost until redis takes them/)])
    if (how === 'killed') await server.start()
    else server.resume()
    await expect
      .poll(
        async () => {
          await world.get('ATL')
          return world.sampler.counts().written
        },
        { timeout: 15_000 },
      )
      .toBeGreaterThan(0)
    expect(world.said.slice(1)).toEqual(['Served samples are kept again in redis.'])
    await world.end()
    await samples.close()
  })

  test('does not keep the process from ending', async () => {
    const samples = openRedisSamples({ url: server.url, store: 'test', timeoutMs: 60_000 })
    const world = await readerOf(store, samples)
    await world.get('ATL')
    server.pause()
    const started = performance.now()
    await world.end()
    expect(performance.now() - started).toBeLessThan(10_000)
    server.resume()
    await samples.close()
  })
})

test('samples that a store cannot hold are lost, and no answer with them', async () => {
  const store = openLmdb({ path: join(folder, 'large'), store: 'test' })
  const samples = openLmdbSamples({ path: join(folder, 'large-samples'), store: 'test' })
  closers.push(
    () => store.close(),
    () => samples.close(),
  )
  const key = { name: 'origin', type: 'string' } as const
  const rows: Row[] = [
    ['large', fresh, [1, 1n, 1n, ['x'.repeat(1 << 16)]]],
    ...Array.from({ length: 2_000 }, (_, at): Row => [`k${at}`, fresh, [1, 1n, 1n, ['x'.repeat(60_000)]]]),
  ]
  await load(store, delays.id, key, delayTypes, rows)
  const world = await readerOf(store, samples)
  expect((await world.get('large')).status).toBe(200)
  expect(world.sampler.counts()).toMatchObject({ lost: 1, bytesWaiting: 0 })
  await world.get('k0')
  expect(world.sampler.counts().bytesWaiting).toBeGreaterThan(60_000)
  await world.end()
  expect((await groupSamples(samples, delays.id)).map(({ key: one }) => one)).toEqual(['k0'])
})

test('without a sampler nothing is kept, and ASOF_READER_SAMPLES says so', () => {
  expect(readConfig({}, '/').reader.samples).toBe(true)
  expect(readConfig({ ASOF_READER_SAMPLES: 'off' }, '/').reader.samples).toBe(false)
  expect(() => readConfig({ ASOF_READER_SAMPLES: 'no' }, '/')).toThrow(
    /ASOF_READER_SAMPLES=no: neither on nor off/,
  )
})

describe('the choice', () => {
  test('takes everything of a short stream, each to its own place', () => {
    const choice = reservoir(5)
    expect(Array.from({ length: 5 }, () => choice.next())).toEqual([0, 1, 2, 3, 4])
    choice.clear()
    expect(choice.next()).toBe(0)
  })

  test('is fair: an item of any part of a long stream has the same chance', () => {
    const { below } = randomFrom(7)
    const random = () => (below(1 << 30) + 1) / (1 << 30)
    const [rounds, length, size, parts] = [600, 1_000, 20, 10]
    const kept = Array.from({ length: parts }, () => 0)
    for (let round = 0; round < rounds; round++) {
      const choice = reservoir(size, random)
      const places: number[] = []
      for (let item = 0; item < length; item++) {
        const place = choice.next()
        if (place >= 0) places[place] = item
      }
      expect(places).toHaveLength(size)
      for (const item of places) {
        const part = Math.floor((item * parts) / length)
        kept[part] = (kept[part] ?? 0) + 1
      }
    }
    // 1,200 of each are expected; six standard deviations are 200.
    for (const count of kept) expect(Math.abs(count - (rounds * size) / parts)).toBeLessThan(200)
  })
})
