/** The connection to one Redis: commands that answer or fail in bounded time, and errors in our own words. */
import { createHash } from 'node:crypto'
import { Command, Redis, type RedisOptions as ClientOptions } from 'ioredis'
import { AsofError, InputError, IntegrityError, UnavailableError } from '../model/index.ts'
import { requestOf } from './redisRequest.ts'

export interface RedisOptions {
  /** `redis://user:password@host:port/db`, or `rediss://` for TLS. */
  readonly url: string
  /** The store's name, the first part of every key. */
  readonly store: string
  /** What it is called in marks, reports and messages. */
  readonly name?: string
  /** After so long a command that is not answered fails. */
  readonly timeoutMs?: number
  /** The store's clock, by which values expire; the machine's where it is left out. */
  readonly now?: () => number
}

const defaultTimeoutMs = 5_000
/** Between two attempts to connect: a command that comes in between waits for the next one. */
const longestPauseMs = 500

export interface Script {
  readonly text: string
  readonly sha: string
}

export const script = (text: string): Script => ({
  text,
  sha: createHash('sha1').update(text).digest('hex'),
})

export class RedisConnection {
  /** The address without credentials. */
  readonly label: string
  private readonly client: Redis
  private lastError: Error | null = null
  private closed = false

  /** Connects with the first command, and again by itself. @throws InputError for what is no address */
  constructor({ url, timeoutMs = defaultTimeoutMs }: RedisOptions) {
    this.label = redisLabel(url)
    const options: ClientOptions = {
      lazyConnect: true,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      retryStrategy: (attempt) => Math.min(attempt * 50, longestPauseMs),
      // Nobody waits for a server that is away: the caller is told, and decides.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      // Plain replies on every version of Redis and of what speaks its protocol.
      protocol: 2,
      disableClientInfo: true,
    }
    this.client = new Redis(url, options)
    this.client.on('error', (error: Error) => (this.lastError = error))
    this.client.on('ready', () => (this.lastError = null))
  }

  /** @throws UnavailableError where there is no answer, IntegrityError where the keys hold something else */
  async attempt<T>(what: 'read' | 'write', work: (client: Redis) => Promise<T>): Promise<T> {
    if (this.closed) throw this.unavailable('was closed', '')
    try {
      return await work(this.client)
    } catch (error) {
      if (error instanceof AsofError) throw error
      throw this.translated(what, error)
    }
  }

  /** What stands under some keys at one moment; null where that is nothing, or no string. */
  async mget(names: readonly string[]): Promise<(Buffer | null)[]> {
    if (names.length === 0) return []
    const request = requestOf('MGET', names)
    const found = await this.attempt('read', (client) => {
      holdWrites(client)
      return send(client, 'mget', request)
    })
    return found as (Buffer | null)[]
  }

  /** Runs a script whose answer is a number. */
  async run(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<number> {
    return this.called(script, (client) => client.call('EVALSHA', script.sha, keys.length, ...keys, ...args))
  }

  /** The same with a call that is written already (`redisRequest.ts`). */
  runWritten(script: Script, request: Buffer): Promise<number> {
    return this.called(script, (client) => send(client, 'evalsha', request))
  }

  /** A server that does not know a script (any more) is told it. */
  private called({ text }: Script, call: (client: Redis) => Promise<unknown>): Promise<number> {
    return this.attempt('write', async (client) => {
      try {
        return Number(await call(client))
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
        await client.script('LOAD', text)
        return Number(await call(client))
      }
    })
  }

  /** Names the running server: another one after a restart, or when a replica has taken over. */
  async runId(): Promise<string> {
    const information = await this.attempt('read', (client) => client.info('server'))
    return /^run_id:(\w+)/m.exec(information)?.[1] ?? ''
  }

  close(): void {
    this.closed = true
    this.client.disconnect()
  }

  /** The client's own errors carry the command with its arguments, credentials among them: only words are taken over. */
  private translated(what: 'read' | 'write', error: unknown): AsofError {
    const message = error instanceof Error ? error.message : String(error)
    if (message.startsWith('WRONGTYPE')) {
      return new IntegrityError(
        `online store ${this.label}: a key of this store holds something else than a value. Give Asof a database of its own.`,
      )
    }
    const reason = this.lastError === null ? message : wordsOf(this.lastError)
    return this.unavailable(`cannot ${what}`, `: ${reason}`)
  }

  private unavailable(what: string, reason: string): UnavailableError {
    return new UnavailableError(
      `online store ${this.label} ${what}${reason}. Check that Redis runs there, takes these credentials and has memory left, and that ASOF_ONLINE is the right address.`,
      { address: this.label },
    )
  }
}

/** What is asked in one turn of the event loop goes out in one write. */
function holdWrites({ stream }: Redis): void {
  if (stream === undefined || stream.writableCorked > 0) return
  stream.cork()
  setImmediate(() => stream.uncork())
}

/** Sends a command whose bytes are made already; texts in its answer come as buffers. */
function send(client: Redis, name: string, request: string | Buffer): Promise<unknown> {
  const command = new Command(name)
  command.toWritable = () => request
  return client.sendCommand(command) as Promise<unknown>
}

/** Where a name has several addresses, Node says nothing but the code. */
function wordsOf(error: Error & { code?: string }): string {
  return error.message === '' ? (error.code ?? error.name) : error.message
}

/** The address as it may be shown. @throws InputError where it is none */
export function redisLabel(url: string): string {
  let parsed
  try {
    parsed = new URL(url)
  } catch {
    throw notAnAddress()
  }
  const { protocol, hostname, port, pathname } = parsed
  if (!/^rediss?:$/.test(protocol) || hostname === '' || !/^(\/\d*)?$/.test(pathname)) throw notAnAddress()
  return `${protocol}//${hostname}:${port || '6379'}${pathname === '/' ? '' : pathname}`
}

const notAnAddress = () =>
  new InputError(
    'An online store is no address of a Redis. Write redis://host:6379/0, or rediss:// for TLS, with user:password@ before the host where it wants them.',
  )
