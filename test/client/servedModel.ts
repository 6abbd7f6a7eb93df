/** A model over two groups, what is stored for it in a real LMDB, and real readers before it that may be told to fail. */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { pack, unpack } from 'msgpackr'
import {
  count,
  entity,
  feature,
  featureGroup,
  featureService,
  mean,
  onDemand,
  parquet,
  queryGroup,
} from '../../model/index.ts'
import {
  openLmdb,
  valueSchema,
  type GroupCard,
  type OnlineRow,
  type OnlineStore,
} from '../../online/index.ts'
import { createReader, servicesOf, type Edge } from '../../reader/index.ts'

export const now = Date.parse('2001-07-01T01:00:00Z')
export const nowMicros = BigInt(now) * 1000n
const hour = 36e5

const events = parquet({
  name: 'events',
  path: 'events',
  timestamp: 'at',
  timeZone: 'UTC',
  completeFrom: '2001-01-01',
})
const common = { version: 1, owner: 'a@example.com', description: 'x', every: '1h', ttl: '7d' } as const

export const delays = featureGroup({
  ...common,
  name: 'delays',
  entity: entity({ name: 'airport', keys: { origin: 'string' } }),
  source: events,
  features: { departures: count({ over: '1h' }), delay: mean('delay', { over: '1h', default: 0.5 }) },
})
export const drivers = queryGroup({
  ...common,
  name: 'drivers',
  entity: entity({ name: 'driver', keys: { driver: 'int64', kind: 'string' } }),
  sources: [events],
  sql: 'SELECT 1',
  features: {
    seen: feature('timestamp'),
    times: feature('list<timestamp>'),
    taste: feature('vector<3>'),
    trips: feature('int32'),
    good: feature('boolean'),
  },
})
export const arrival = delays.as('arrival', { origin: 'destination' })
export const made = onDemand({
  name: 'made',
  request: { distance: 'int64', share: 'float64', when: 'timestamp', origin: 'string' },
  reads: [delays.pick('departures')],
  features: { sum: feature('int64'), said: feature('string', { default: '-' }), echo: feature('float64') },
  compute: ({ request: { distance, share, when, origin }, features: { departures } }) => ({
    sum: typeof distance === 'bigint' && typeof departures === 'bigint' ? distance + departures : null,
    said: when === null ? null : `${String(origin)} at ${String(when)}`,
    echo: share,
  }),
})
export const model = featureService({
  name: 'model_v1',
  features: [
    arrival.pick('delay'),
    delays.pick('departures', 'delay'),
    drivers.pick('seen', 'taste', 'times'),
  ],
  onDemand: [made],
})

type Card = Omit<GroupCard, 'complete'>
const times = { ttlMs: 7 * 24 * hour, cadenceMs: hour }
const delaysCard: Card = {
  ...times,
  group: delays.id,
  keys: [{ name: 'origin', type: 'string' }],
  schema: valueSchema([
    { name: 'departures', type: 'int64' },
    { name: 'delay', type: 'float64' },
  ]),
  defaults: { delay: 0.5 },
}
const driversCard: Card = {
  ...times,
  group: drivers.id,
  keys: [
    { name: 'driver', type: 'int64' },
    { name: 'kind', type: 'string' },
  ],
  schema: valueSchema([
    { name: 'seen', type: 'timestamp' },
    { name: 'times', type: 'list<timestamp>' },
    { name: 'taste', type: 'vector<3>' },
    { name: 'trips', type: 'int32' },
    { name: 'good', type: 'boolean' },
  ]),
  defaults: {},
}
export const taste = [0.1, -0, 3].map(Math.fround)
export const greatest = 2n ** 63n - 1n
export const seen = 978_912_000_000_001n

const order = { incarnation: 1n, sequenceNumber: 1n }
async function load(
  store: OnlineStore,
  card: Card,
  rows: readonly OnlineRow[],
  loadedAtMs: number,
): Promise<void> {
  await store.write(card, order, rows)
  await store.finishLoad(card.group, { snapshotId: '77', order, loadedAtMs })
}

export async function openServedStore(path: string): Promise<OnlineStore> {
  const store = openLmdb({ path, store: 'test' })
  await load(
    store,
    delaysCard,
    [
      { keys: ['ATL'], eventTimestampMicros: nowMicros - 1n, values: [greatest - 760n, 11] },
      { keys: ['JFK'], eventTimestampMicros: nowMicros - 5n, values: [7n, -0] },
      { keys: ['NAN'], eventTimestampMicros: nowMicros, values: [null, Number.NaN] },
      { keys: ['OLD'], eventTimestampMicros: 0n, values: [3n, 3] },
      // As many as two requests and a half hold.
      ...Array.from({ length: 2500 }, (_, n) => ({
        keys: [`A${n}`],
        eventTimestampMicros: nowMicros,
        values: [BigInt(n), n],
      })),
    ],
    now - 1000,
  )
  const values = [seen, [seen, null], taste, -5, true]
  await load(
    store,
    driversCard,
    [{ keys: [9_007_199_254_740_993n, 'web'], eventTimestampMicros: nowMicros, values }],
    now - 2 * hour,
  )
  return store
}

/** What a reader was asked, in the order in which requests came. */
export interface Seen {
  readonly rows: number
  readonly authorization: string | undefined
  readonly accept: string | undefined
  readonly contentType: string | undefined
  readonly atMs: number
}

export interface ServedReader {
  readonly url: string
  readonly app: FastifyInstance
  readonly seen: readonly Seen[]
}

/** An answer in place of the reader's own, or undefined for that; told how many requests came before. */
type Instead = (
  before: number,
) => { status: number; retryAfter?: number | string; body?: unknown } | undefined

/** The real reader, which may be told to answer something else, or to wait. */
export async function startReader(
  store: OnlineStore,
  {
    instead = () => undefined,
    waitMs = () => 0,
    port = 0,
    edge,
  }: {
    readonly instead?: Instead
    readonly waitMs?: (before: number) => number
    readonly port?: number
    readonly edge?: Edge
  } = {},
): Promise<ServedReader> {
  const clock = { nowMs: () => now, storeName: 'test', clockNote: null }
  const app = createReader({ store, ...clock, ...(edge && { edge }), services: servicesOf([model]) })
  const seen: Seen[] = []
  app.addHook('preHandler', async (request, reply) => {
    const { authorization, accept, 'content-type': contentType } = request.headers
    const { bytes } = request.body as { bytes: Buffer }
    const before = seen.length
    seen.push({ rows: rowsIn(bytes), authorization, accept, contentType, atMs: performance.now() })
    await new Promise((resolve) => setTimeout(resolve, waitMs(before)))
    const other = instead(before)
    if (other === undefined) return
    if (other.retryAfter !== undefined) reply.header('retry-after', String(other.retryAfter))
    const isPacked = before % 2 === 0
    const body = other.body ?? { error: { code: 'busy', message: 'Too much to do.' } }
    return reply
      .code(other.status)
      .type(isPacked ? 'application/msgpack' : 'application/json')
      .send(isPacked ? pack(body) : JSON.stringify(body))
  })
  await app.listen({ host: '127.0.0.1', port })
  return { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, app, seen }
}

function rowsIn(bytes: Buffer): number {
  const { entities } = unpack(bytes) as { entities: Record<string, unknown[]> }
  return Object.values(entities)[0]?.length ?? 0
}
