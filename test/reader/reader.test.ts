/** The reader over real HTTP, in front of a real LMDB that another process may write to. */
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { openLmdb, valueSchema, type GroupCard, type OnlineStore } from '../../online/index.ts'
import { createReader, type ReaderOptions } from '../../reader/index.ts'
import { startWriter } from '../online/writerProcess.ts'

const hour = 36e5
const start = Date.parse('2001-07-01T01:00:00Z')
let now = start
const closers: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closers.toReversed()) await close()
})

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'asof-reader-'))
  closers.push(() => rm(folder, { recursive: true }))
  return folder
}

async function serve(store: OnlineStore, change: Partial<ReaderOptions> = {}) {
  const options = { store, nowMs: () => now, storeName: 'test', clockNote: null, ...change }
  const app: FastifyInstance = createReader(options)
  await app.listen({ host: '127.0.0.1', port: 0 })
  closers.push(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: JSON.parse(text) as Answer }
  }
  return { port, get }
}

/** As much of every answer as the tests look at. */
interface Answer {
  readonly error: { readonly code: string; readonly message: string }
  readonly results: readonly {
    readonly entity_id: string
    readonly keys: object
    readonly event_timestamp: string | null
    readonly features: Record<string, { readonly value: unknown; readonly status: string }>
  }[]
  readonly groups: readonly object[]
  readonly stale: boolean
  readonly age_seconds: number
}

const order = (sequenceNumber: number) => ({ incarnation: 1n, sequenceNumber: BigInt(sequenceNumber) })
const markOf = (sequence: number, loadedAtMs = start) => ({
  snapshotId: '6132145893211234567',
  order: order(sequence),
  loadedAtMs,
})
type Card = Omit<GroupCard, 'complete'>
const airports: Card = {
  group: 'airport_delays_v1',
  keys: [{ name: 'origin', type: 'string' }],
  schema: valueSchema([
    { name: 'departures_24h', type: 'int64' },
    { name: 'mean_delay_24h', type: 'float64' },
    { name: 'last_seen', type: 'timestamp' },
  ]),
  defaults: {},
  ttlMs: 7 * 24 * hour,
  cadenceMs: hour,
}
const trips: Card = {
  group: 'trip_v2',
  keys: [
    { name: 'driver', type: 'int64' },
    { name: 'kind', type: 'string' },
  ],
  schema: valueSchema([{ name: 'trips', type: 'int32' }]),
  defaults: {},
  ttlMs: null,
  cadenceMs: 24 * hour,
}
const half: Card = { ...airports, group: 'half_loaded_v1' }
const atMicros = (ms: number) => BigInt(ms) * 1000n

async function fill(store: OnlineStore): Promise<void> {
  await store.write(airports, order(1), [
    {
      keys: ['ATL'],
      eventTimestampMicros: atMicros(start),
      values: [2n ** 63n - 1n, -0, 978_912_000_000_001n],
    },
    { keys: ['JFK'], eventTimestampMicros: atMicros(start) + 1n, values: [0n, Number.NaN, null] },
    { keys: ['OLD'], eventTimestampMicros: atMicros(start - 7 * 24 * hour) - 1n, values: [1n, 1, 1n] },
    { keys: ['EDGE'], eventTimestampMicros: atMicros(start - 7 * 24 * hour), values: [1n, 1, 1n] },
    { keys: ['GONE'], eventTimestampMicros: null, values: null },
    { keys: ['a,b|c\\d é&=+%'], eventTimestampMicros: atMicros(start), values: [7n, 0.1, 0n] },
    { keys: [''], eventTimestampMicros: atMicros(start), values: [8n, 0.2, 0n] },
  ])
  await store.finishLoad(airports.group, markOf(1))
  await store.write(trips, order(1), [
    { keys: [9_007_199_254_740_993n, 'web'], eventTimestampMicros: 0n, values: [5] },
    { keys: [-7n, 'a|b'], eventTimestampMicros: 0n, values: [6] },
  ])
  await store.finishLoad(trips.group, markOf(1, start - 25 * hour))
  await store.write(half, order(1), [{ keys: ['ATL'], eventTimestampMicros: 0n, values: [1n, 1, 1n] }])
}

let store: OnlineStore
let reader: Awaited<ReturnType<typeof serve>>
beforeAll(async () => {
  store = openLmdb({ path: await newFolder(), store: 'test' })
  closers.push(() => store.close())
  await fill(store)
  reader = await serve(store)
})

const online = (query: string, group = airports.group) =>
  reader.get(`/feature-groups/${group}/online${query}`)

describe('values', () => {
  test('one answer, written out', async () => {
    now = start + 1500
    const answer = await online('?entity_ids=ATL,JFK')
    now = start
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(answer.headers.get('asof-clock')).toBe(null)
    expect(answer.text).toBe(
      '{"feature_group":"airport_delays_v1","as_of":"2001-07-01T01:00:01.500Z","age_seconds":1.5,"stale":false,' +
        '"snapshot_id":"6132145893211234567","keys":["origin"],"results":[' +
        '{"entity_id":"ATL","keys":{"origin":"ATL"},"event_timestamp":"2001-07-01T01:00:00Z","features":{' +
        '"departures_24h":{"value":9223372036854775807,"status":"PRESENT"},' +
        '"mean_delay_24h":{"value":-0,"status":"PRESENT"},' +
        '"last_seen":{"value":"2001-01-08T00:00:00.000001Z","status":"PRESENT"}}},' +
        '{"entity_id":"JFK","keys":{"origin":"JFK"},"event_timestamp":"2001-07-01T01:00:00.000001Z","features":{' +
        '"departures_24h":{"value":0,"status":"PRESENT"},' +
        '"mean_delay_24h":{"value":"NaN","status":"PRESENT"},' +
        '"last_seen":{"value":null,"status":"NULL_VALUE"}}}]}',
    )
  })

  test('the order of the question stays, with duplicates, misses and tombstones in their places', async () => {
    const ids = ['JFK', 'nobody', 'ATL', 'GONE', 'JFK', 'OLD', 'EDGE']
    const { body } = await online(`?entity_ids=${ids.join(',')}&features=departures_24h`)
    expect(body.results.map(({ entity_id }) => entity_id)).toEqual(ids)
    expect(body.results.map(({ features }) => features['departures_24h']?.status)).toEqual([
      'PRESENT',
      'NOT_FOUND',
      'PRESENT',
      'NOT_FOUND',
      'PRESENT',
      'OUTSIDE_MAX_AGE',
      'PRESENT',
    ])
    expect(body.results.map(({ event_timestamp }) => event_timestamp)).toEqual([
      '2001-07-01T01:00:00.000001Z',
      null,
      '2001-07-01T01:00:00Z',
      null,
      '2001-07-01T01:00:00.000001Z',
      '2001-06-24T00:59:59.999999Z',
      '2001-06-24T01:00:00Z',
    ])
    expect(body.results[5]?.features['departures_24h']?.value).toBe(null)
  })

  test('ttl follows the clock of the store', async () => {
    now = start + 1
    const { body } = await online('?entity_ids=EDGE')
    now = start
    expect(body.results[0]?.features['departures_24h']?.status).toBe('OUTSIDE_MAX_AGE')
  })

  test('features are those that were asked for, in that order', async () => {
    const { body } = await online('?features=last_seen,departures_24h&entity_ids=ATL')
    expect(Object.keys(body.results[0]?.features ?? {})).toEqual(['last_seen', 'departures_24h'])
  })

  test('ids with commas, bars, backslashes and what an address quotes are found', async () => {
    const id = 'a\\,b\\|c\\\\d é&=+%'
    const { body, text } = await online(`?entity_ids=ATL,${encodeURIComponent(id)},%5Ce`)
    // A form writes a space as a plus sign and quotes commas and backslashes: the same question.
    const form = new URLSearchParams({ entity_ids: ['ATL', id, '\\e'].join(',') })
    expect((await online(`?${form.toString()}`)).text).toBe(text)
    expect(body.results.map(({ features }) => features['departures_24h']?.status)).toEqual([
      'PRESENT',
      'PRESENT',
      'PRESENT',
    ])
    expect(body.results[1]).toMatchObject({ entity_id: id, keys: { origin: 'a,b|c\\d é&=+%' } })
    expect(body.results[2]?.keys).toEqual({ origin: '' })
  })

  test('composite keys and integers beyond 53 bits are exact', async () => {
    const { text, body } = await online(
      '?entity_ids=9007199254740993|web,9007199254740992|web,-7|a\\|b',
      trips.group,
    )
    expect(text).toContain('"keys":{"driver":9007199254740993,"kind":"web"}')
    expect(body.results.map(({ features }) => features['trips']?.value)).toEqual([5, null, 6])
    expect(body.stale).toBe(false)
    expect(body.age_seconds).toBe(25 * 3600)
  })

  test('a group is said to be stale', async () => {
    now = start + 1.5 * hour
    expect((await online('?entity_ids=ATL')).body.stale).toBe(false)
    now += 1
    expect((await online('?entity_ids=ATL')).body.stale).toBe(true)
    now = start
  })

  test('a thousand long composite ids fit into one address', async () => {
    const ids = Array.from({ length: 1000 }, (_, index) => `${10n ** 17n + BigInt(index)}|${'é'.repeat(20)}`)
    const { status, body } = await online(`?entity_ids=${encodeURIComponent(ids.join(','))}`, trips.group)
    expect(status).toBe(200)
    expect(body.results.map(({ entity_id }) => entity_id)).toEqual(ids)
  })
})

describe('refusals', () => {
  test.each([
    ['no ids', '', /entity_ids is missing. Add \?entity_ids= and 1 to 1000 ids.*origin/],
    ['empty ids', '?entity_ids=', /entity_ids is missing/],
    ['an empty id in between', '?entity_ids=ATL,,JFK', /id 2: key origin: "" is no string. Write \\e/],
    ['a trailing comma', '?entity_ids=ATL,', /id 2: .*Write \\e/],
    ['too many ids', `?entity_ids=${'a,'.repeat(1000)}a`, /holds 1001 ids, the limit is 1000/],
    ['a composite id for a single key', '?entity_ids=ATL|JFK', /id 1: .*has 2 keys, expected 1: origin/],
    ['an unknown escape', '?entity_ids=a\\n', /Write \\\\ for a backslash/],
    ['broken percent-encoding', '?entity_ids=%E9', /no percent-encoded UTF-8/],
    ['a parameter that is not there', '?entity_id=ATL', /no parameter "entity_id". There are entity_ids/],
    ['a parameter twice', '?entity_ids=ATL&entity_ids=JFK', /entity_ids is there twice/],
    [
      'an unknown feature',
      '?entity_ids=ATL&features=delay',
      /no feature "delay". It has departures_24h, mean_delay_24h/,
    ],
    ['no feature', '?entity_ids=ATL&features=', /no feature ""/],
    ['a feature twice', '?entity_ids=ATL&features=last_seen,last_seen', /"last_seen" twice/],
    ['a long id', `?entity_ids=${'x'.repeat(1025)}`, /1025 bytes long as a key/],
  ])('%s', async (_, query, message) => {
    const { status, body } = await online(query)
    expect(status).toBe(400)
    expect(body.error.code).toBe('bad_request')
    expect(body.error.message).toMatch(message)
    expect(Object.keys(body)).toEqual(['error'])
  })

  test.each(['01', '+1', '1.0', 'web', '9223372036854775808'])('%s is no int64 key', async (id) => {
    const { status, body } = await online(`?entity_ids=7|web,${id}|web`, trips.group)
    expect(status).toBe(400)
    expect(body.error.message).toMatch(/^entity_ids, id 2: key driver: .* is no int64\. /)
  })

  test('an unknown group is 404 and lists those that there are', async () => {
    const { status, body } = await online('?entity_ids=ATL', 'airport_delays_v2')
    expect(status).toBe(404)
    expect(body.error.code).toBe('unknown_group')
    expect(body.error.message).toMatch(/"airport_delays_v2".*airport_delays_v1, half_loaded_v1, trip_v2/)
  })

  test('a group without a complete load is 503, not full of new users', async () => {
    const { status, body, headers } = await online('?entity_ids=ATL', half.group)
    expect(status).toBe(503)
    expect(headers.get('retry-after')).toBe('10')
    expect(body.error).toMatchObject({
      code: 'not_loaded',
      message: expect.stringMatching(/half_loaded_v1/) as string,
    })
  })

  test('unknown routes, methods and addresses are JSON', async () => {
    for (const [path, method] of [
      ['/', 'GET'],
      ['/feature-groups', 'GET'],
      [`/feature-groups/${airports.group}/online`, 'POST'],
    ] as const) {
      const { status, body } = await reader.get(path, { method })
      expect([status, body.error.code]).toEqual([404, 'unknown_route'])
    }
    const broken = await reader.get('/feature-groups/%E9/online?entity_ids=ATL')
    expect([broken.status, broken.body.error.code]).toEqual([400, 'bad_request'])
    const long = await reader.get(`/feature-groups/${'x'.repeat(300)}/online?entity_ids=ATL`)
    expect([long.status, long.body.error.code]).toEqual([414, 'bad_request'])
  })

  test('an address beyond all bounds, and what is no HTTP at all, are JSON too', async () => {
    const tooLong = await online(`?entity_ids=${'x'.repeat(600_000)}`)
    expect([tooLong.status, tooLong.body.error.code]).toEqual([431, 'too_long'])
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(reader.port, '127.0.0.1', () => socket.write('hello\r\n\r\n'))
      socket
        .setEncoding('utf8')
        .once('data', (text: unknown) => resolve(String(text)))
        .once('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\n[^]*\r\n\r\n\{"error":\{"code":"bad_request"/)
    expect((await reader.get('/health')).status).toBe(200)
  })

  test('a store that fails shows nothing of itself; the log has it, without ids', async () => {
    const path = await newFolder()
    const failing = openLmdb({ path, store: 'test' })
    await fill(failing)
    await failing.close()
    const lines: unknown[] = []
    const { get } = await serve(failing, { logger: memoryLogger(lines) })
    const { status, body, headers, text } = await get(
      `/feature-groups/${airports.group}/online?entity_ids=SECRET`,
    )
    expect([status, body.error.code, headers.get('retry-after')]).toEqual([503, 'store_unavailable', '5'])
    expect(text).not.toContain(path)
    expect(text).not.toMatch(/stack|node_modules|\.ts/)
    expect(lines.length).toBe(1)
    expect((lines[0] as { err: Error }).err.message).toMatch(/was closed/)
    expect(JSON.stringify(lines)).not.toContain('SECRET')
  })
})

/** A logger that keeps what it is given. */
function memoryLogger(lines: unknown[]): FastifyBaseLogger {
  const keep = (line: unknown) => void lines.push(line)
  const quiet = () => undefined
  const logger: FastifyBaseLogger = {
    level: 'info',
    fatal: keep,
    error: keep,
    warn: keep,
    info: quiet,
    debug: quiet,
    trace: quiet,
    silent: quiet,
    child: () => logger,
  }
  return logger
}

describe('health and readiness', () => {
  test('health says which store, which clock', async () => {
    const { status, body, headers } = await reader.get('/health')
    expect(status).toBe(200)
    expect(headers.get('asof-clock')).toBe(null)
    expect(body).toEqual({
      status: 'ok',
      store: 'test',
      online_store: 'lmdb',
      now: '2001-07-01T01:00:00.000Z',
      clock: 'machine',
    })
  })

  test('on a set clock every answer says so', async () => {
    const { get, port } = await serve(store, { clockNote: 'set clock, −25 years' })
    expect((await get('/health')).body).toMatchObject({ clock: 'set clock, −25 years' })
    const paths = [
      '/health',
      '/ready',
      '/nowhere',
      '/feature-groups/%E9/online',
      `/feature-groups/${airports.group}/online?entity_ids=ATL`,
    ]
    for (const path of paths) {
      expect((await get(path)).headers.get('asof-clock'), `${port}${path}`).toBe('set clock, ?25 years')
    }
  })

  test('ready once every group has been loaded completely, and not before there is one', async () => {
    const path = await newFolder()
    const empty = openLmdb({ path, store: 'test' })
    closers.push(() => empty.close())
    const { get } = await serve(empty)
    const nothing = await get('/ready')
    expect([nothing.status, nothing.body.error.code]).toEqual([503, 'not_ready'])
    expect(nothing.body.error.message).toMatch(/No feature group has been loaded yet/)
    await fill(empty)
    const waiting = await get('/ready')
    expect([waiting.status, waiting.headers.get('retry-after')]).toEqual([503, '5'])
    expect(waiting.body.error.message).toMatch(/Not loaded completely yet: half_loaded_v1\./)
    await empty.finishLoad(half.group, markOf(1))
    const ready = await get('/ready')
    expect(ready.status).toBe(200)
    expect(ready.body.groups).toContainEqual({
      feature_group: airports.group,
      loaded_at: '2001-07-01T01:00:00.000Z',
      age_seconds: 0,
      stale: false,
    })
    expect(ready.body.groups.length).toBe(3)
  })
})

test('a reader that was there first serves what another process writes', async () => {
  const path = await newFolder()
  const early = openLmdb({ path, store: 'test', readOnly: true })
  closers.push(() => early.close())
  const { get } = await serve(early)
  const ask = () => get('/feature-groups/a_v1/online?entity_ids=k0,k49999')
  const unknown = await ask()
  expect([unknown.status, unknown.body.error.code]).toEqual([503, 'not_loaded'])
  const writer = startWriter(path)
  await writer.load({ group: 'a_v1', sequence: 1, rows: 10, finish: false })
  expect((await ask()).status).toBe(503)
  for (const sequence of [2, 3]) {
    await writer.load({ group: 'a_v1', sequence, rows: 50_000, finish: true })
    const { status, body } = await ask()
    expect(status).toBe(200)
    const ages = body.results.map(({ features }) => features['departures']?.status)
    expect(ages).toEqual(['OUTSIDE_MAX_AGE', 'OUTSIDE_MAX_AGE'])
    expect(body.results.map(({ event_timestamp }) => event_timestamp)).toEqual(
      Array(2).fill(`1970-01-01T00:00:00.0000${sequence}0Z`),
    )
  }
  await writer.stop()
  expect((await get('/ready')).status).toBe(200)
})
