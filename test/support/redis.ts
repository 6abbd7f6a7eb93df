/** A real Redis of a test's own: on a free port of the loopback interface, in a folder that goes away with it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findRedis } from '../../scripts/tools.mjs'
import type { Certificate } from './certificate.ts'

export interface TestRedis {
  /** The address without credentials. */
  readonly url: string
  readonly port: number
  /** SIGKILL: nothing is saved but what is in its append-only file already. */
  kill(): Promise<void>
  /** Starts it again, with its data or with none. */
  start(options?: { empty?: boolean }): Promise<void>
  /** Stops the process without ending it: connections stay open, and nothing is answered. */
  pause(): void
  resume(): void
  /** Looks into it, past the store. */
  look<T>(use: (client: Redis) => Promise<T>): Promise<T>
  /** Ends it, and its folder. */
  end(): Promise<void>
}

const patienceMs = 10_000

export interface TestRedisOptions {
  readonly password?: string
  /** Whether it keeps what it is given over a restart; it does unless told otherwise. */
  readonly isPersistent?: boolean
  /** It speaks TLS alone, as one of the certificate's names. */
  readonly tls?: Certificate
  /** Further arguments of `redis-server`. */
  readonly settings?: readonly string[]
}

/** A test process that ends before its servers takes them along. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const program = findRedis()
  if (program === null)
    throw new Error('There is no redis-server here. `npm test` installs it; run that once.')
  const folder = mkdtempSync(join(tmpdir(), 'asof-redis-'))
  const port = await freePort()
  const { password, isPersistent = true, tls, settings = [] } = options
  let child: ChildProcess | null = null
  const trust =
    tls === undefined ? {} : { tls: { ca: readFileSync(tls.cert), checkServerIdentity: () => undefined } }
  const connect = () =>
    new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null, password, ...trust })
  const ports =
    tls === undefined
      ? ['--port', String(port)]
      : [
          ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
          ...['--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.cert],
        ]
  const redis: TestRedis = {
    url: `redis${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    port,
    async kill() {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
    async start({ empty = false } = {}) {
      await redis.kill()
      if (empty) rmSync(join(folder, 'appendonlydir'), { recursive: true, force: true })
      // Without fsync every write is with the system before it is answered, and outlives the process.
      if (child !== null) running.delete(child)
      child = spawn(
        program,
        [
          ...[...ports, '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
          ...['--appendonly', isPersistent ? 'yes' : 'no', '--appendfsync', 'no', '--daemonize', 'no'],
          ...(password === undefined ? [] : ['--requirepass', password]),
          ...settings,
        ],
        { stdio: 'ignore' },
      )
      running.add(child)
      await untilReady(connect, child)
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async look(use) {
      const client = connect()
      // Whoever looks is told by the command.
      client.on('error', () => undefined)
      try {
        return await use(client)
      } finally {
        client.disconnect()
      }
    },
    async end() {
      await redis.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    await redis.start()
  } catch (error) {
    await redis.end()
    throw error
  }
  return redis
}

async function untilReady(connect: () => Redis, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline;) {
    if (child.exitCode !== null) break
    const client = connect()
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.ping()
      return
    } catch {
      // Not up yet.
      await sleep(20)
    } finally {
      client.disconnect()
    }
  }
  child.kill('SIGKILL')
  throw new Error('The Redis of this test did not start.')
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
