/** Two loaded groups in a real LMDB, and a reader before it: in this process, or as the process that it is. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { openLmdb, valueSchema, type GroupCard, type OnlineStore } from '../../online/index.ts'
import { createReader, type ReaderOptions } from '../../reader/index.ts'

/** What tests start inside of themselves: a hook that is added there would come too late. */
const closers: (() => unknown)[] = []
export const atEnd = (close: () => unknown): void => void closers.push(close)
afterAll(async () => {
  for (const close of closers.toReversed()) await close()
})

export const airports = 'airport_delays_v1'
export const trips = 'trip_v2'
const hour = 36e5
/** When both were loaded. */
export const loadedAtMs = Date.parse('2001-07-01T01:00:00Z')

const cards: readonly Omit<GroupCard, 'complete'>[] = [
  {
    group: airports,
    keys: [{ name: 'origin', type: 'string' }],
    schema: valueSchema([
      { name: 'departures', type: 'int64' },
      { name: 'mean_delay', type: 'float64' },
      { name: 'last_seen', type: 'timestamp' },
    ]),
    defaults: {},
    ttlMs: 7 * 24 * hour,
    cadenceMs: hour,
  },
  {
    group: trips,
    keys: [
      { name: 'driver', type: 'int64' },
      { name: 'kind', type: 'string' },
    ],
    schema: valueSchema([{ name: 'trips', type: 'int32' }]),
    defaults: { trips: 0 },
    ttlMs: null,
    cadenceMs: 24 * hour,
  },
]

/** ATL is there, JFK has a null, OLD is beyond its ttl; of trips, driver 7 on the web. */
export async function fillGroups(store: OnlineStore, { finish = true } = {}): Promise<void> {
  const order = { incarnation: 1n, sequenceNumber: 1n }
  const at = BigInt(loadedAtMs) * 1000n
  const [first, second] = cards
  if (first === undefined || second === undefined) throw new Error('there are two groups')
  await store.write(first, order, [
    { keys: ['ATL'], eventTimestampMicros: at, values: [2n ** 63n - 1n, 11.5, at] },
    { keys: ['JFK'], eventTimestampMicros: at, values: [5n, Number.NaN, null] },
    { keys: ['OLD'], eventTimestampMicros: at - BigInt(8 * 24 * hour) * 1000n, values: [1n, 1, 1n] },
  ])
  await store.write(second, order, [{ keys: [7n, 'web'], eventTimestampMicros: at, values: [3] }])
  if (!finish) return
  for (const { group } of cards) await store.finishLoad(group, { snapshotId: '7', order, loadedAtMs })
}

export async function openFilled(path: string): Promise<OnlineStore> {
  const store = openLmdb({ path, store: 'test' })
  atEnd(() => store.close())
  await fillGroups(store)
  return store
}

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** What an error says. */
  readonly error: { readonly code: string; readonly message: string } | undefined
}

export async function ask(url: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(url, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true && text !== ''
  const { error } = (isJson ? JSON.parse(text) : {}) as { error?: Answered['error'] }
  return { status: response.status, headers: response.headers, text, error }
}

export const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } })

/** A reader in this process, on a port of its own. */
export async function serve(store: OnlineStore, change: Partial<ReaderOptions> = {}) {
  const app = createReader({ store, nowMs: () => loadedAtMs, storeName: 'test', clockNote: null, ...change })
  await app.listen({ host: '127.0.0.1', port: 0 })
  atEnd(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  return { app, port, url, get: (path: string, init?: RequestInit) => ask(`${url}${path}`, init) }
}

export interface ReaderProcess {
  readonly child: ChildProcess
  readonly port: number
  /** All that it has said. */
  log(): string
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
}

/** `worker/reader.ts` over the groups in `home`; waits until it listens, or has ended. */
export async function startReader(
  home: string,
  environment: Record<string, string> = {},
): Promise<ReaderProcess> {
  const port = await freePort()
  const loader = ['--import', fileURLToPath(import.meta.resolve('tsx'))]
  const program = fileURLToPath(new URL('../../worker/reader.ts', import.meta.url))
  mkdirSync(home, { recursive: true })
  const child = spawn(process.execPath, [...loader, program], {
    cwd: home,
    env: {
      ...process.env,
      ASOF_HOME: home,
      ASOF_STORE: 'test',
      ASOF_READER_PORT: String(port),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (log += String(text)))
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  atEnd(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await Promise.race([once(child, 'message'), ended])
  return { child, port, log: () => log, ended }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
