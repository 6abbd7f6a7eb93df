/** The connection to one Redis: commands that answer or fail in bounded time, and errors in our own words. */
import { createHash } from 'node:crypto'
import { Command, Redis, type RedisCommander, type RedisOptions as ClientOptions } from 'ioredis'
import { AsofError, IntegrityError, UnavailableError } from '../model/index.ts'
import type { EncodedRows } from './encodedRows.ts'
import { redisLabel } from './redisAddress.ts'
import { nextStretch, requestOf, scriptRequest } from './redisRequest.ts'
import { RedisWire } from './redisWire.ts'

export interface RedisOptions {
  /** See `redisAddress.ts`. */
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

export const defaultTimeoutMs = 5_000
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

/** Commands of one Redis or of a whole cluster. */
export type Client = RedisCommander

/** What a store needs of the Redis behind it, be it one server or a cluster. */
export interface Servers {
  /** The address without credentials. */
  readonly label: string
  /**
   * Commands whose keys lie in one slot.
   * @throws UnavailableError where there is no answer, IntegrityError where the keys hold something else
   */
  attempt<T>(what: 'read' | 'write', work: (client: Client) => Promise<T>): Promise<T>
  /** What stands under keys of one slot at one moment; null where that is nothing, or no string. */
  mget(names: readonly string[]): Promise<(Buffer | null)[]>
  /** What stands under any keys. */
  getEach(names: readonly string[]): Promise<(Buffer | null)[]>
  /** Runs a script over keys of one slot, whose answer is a number. */
  run(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<number>
  /** Names what runs there: another name after a restart, or when a replica has taken over. */
  runId(): Promise<string>
  /** Keys may come twice. @throws UnavailableError where some may have been passed over */
  scanKeys(pattern: string, count: number): AsyncGenerator<string[]>
  unlink(keys: readonly string[]): Promise<number>
  close(): void
}

/** What every connection is told. */
export const commonOptions = (timeoutMs: number): ClientOptions => ({
  lazyConnect: true,
  connectTimeout: timeoutMs,
  commandTimeout: timeoutMs,
  // Nobody waits for a server that is away: the caller is told, and decides.
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  // Plain replies on every version of Redis and of what speaks its protocol.
  protocol: 2,
  disableClientInfo: true,
})

/** Keys of one script call: Redis does nothing else while it runs. */
const keysPerCall = 200
/** What a call's keys and values may come to where values are large. */
const bytesPerCall = 2 ** 20
/** Calls under way at once. */
const callsAtOnce = 8

export class RedisConnection implements Servers {
  readonly label: string
  private readonly client: Redis
  private readonly errors: RedisErrors
  private readonly timeoutMs: number
  private wire: RedisWire | null = null

  /** Connects with the first command, and again by itself. @throws InputError for what is no address */
  constructor({ url, timeoutMs = defaultTimeoutMs }: RedisOptions) {
    this.label = redisLabel(url)
    this.errors = new RedisErrors(this.label)
    this.timeoutMs = timeoutMs
    this.client = new Redis(url, {
      ...commonOptions(timeoutMs),
      retryStrategy: (attempt) => Math.min(attempt * 50, longestPauseMs),
    })
    this.client.on('error', (error: Error) => this.errors.note(error))
    this.client.on('ready', () => this.errors.note(null))
  }

  async attempt<T>(what: 'read' | 'write', work: (client: Redis) => Promise<T>): Promise<T> {
    this.errors.check()
    try {
      return await work(this.client)
    } catch (error) {
      throw this.errors.translated(what, error)
    }
  }

  async mget(names: readonly string[]): Promise<(Buffer | null)[]> {
    if (names.length === 0) return []
    const request = requestOf('MGET', names)
    const found = await this.attempt('read', (client) => {
      holdWrites(client)
      return send(client, 'mget', request)
    })
    return found as (Buffer | null)[]
  }

  getEach(names: readonly string[]): Promise<(Buffer | null)[]> {
    return this.mget(names)
  }

  /** The same as `mget`, for whoever asks all the time: over a connection of its own (`redisWire.ts`) as soon as there is one. */
  mgetOften(names: readonly string[]): Promise<(Buffer | null)[]> {
    this.wire ??= this.openWire()
    return this.wire?.isOpen === true ? this.wire.mget(names) : this.mget(names)
  }

  /** Null where the store was closed. */
  private openWire(): RedisWire | null {
    if (this.errors.isClosed) return null
    const client = this.client.duplicate()
    // What is wrong with Redis is said by the connection that is asked instead.
    client.on('error', () => undefined)
    const wire = new RedisWire(client, this.timeoutMs, (error) => this.errors.translated('read', error))
    client.connect().catch(() => undefined)
    return wire
  }

  /** The same from a replica, and whether it follows its primary just now. */
  async mgetLinked(names: readonly string[]): Promise<{ found: (Buffer | null)[]; isLinked: boolean }> {
    const asked = this.attempt<readonly unknown[]>('read', (client) => client.role())
    const [role, found] = await Promise.all([asked, this.mget(names)])
    // The fourth word of a replica's role; a primary has no such word.
    return { found, isLinked: role[3] === 'connected' }
  }

  run(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<number> {
    return this.called(script, (client) => client.call('EVALSHA', script.sha, keys.length, ...keys, ...args))
  }

  /**
   * Runs a script over all rows, many a call: its keys are `key` and those of the rows, its arguments `args` and their
   * values. Adds its answers up.
   * @param refused the answer that ends it
   * @returns the sum, or `refused`
   */
  async putAll(
    script: Script,
    { key, args, refused }: { key: string; args: readonly (string | Buffer)[]; refused: number },
    rows: EncodedRows,
  ): Promise<number> {
    let next = 0
    let sum = 0
    let isRefused = false
    const work = async () => {
      while (next < rows.length && !isRefused) {
        const stretch = nextStretch(rows, next, { keys: keysPerCall, bytes: bytesPerCall })
        next = stretch.to
        const request = scriptRequest(script.sha, key, args, rows, stretch)
        const answer = await this.called(script, (client) => send(client, 'evalsha', request))
        // After the await: the others count too.
        if (answer === refused) isRefused = true
        else sum += answer
      }
    }
    await Promise.all(Array.from({ length: callsAtOnce }, work))
    return isRefused ? refused : sum
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

  async runId(): Promise<string> {
    const information = await this.attempt('read', (client) => client.info('server'))
    return /^run_id:(\w+)/m.exec(information)?.[1] ?? ''
  }

  async *scanKeys(pattern: string, count: number): AsyncGenerator<string[]> {
    const runId = await this.runId()
    let cursor = '0'
    do {
      const at = cursor
      const scan = (client: Redis) => client.scan(at, 'MATCH', pattern, 'COUNT', count)
      const [next, keys] = await this.attempt('read', scan)
      if (keys.length > 0) yield keys
      cursor = next
    } while (cursor !== '0')
    // A cursor of another server means nothing: keys may have been passed over.
    if ((await this.runId()) !== runId) throw this.errors.restarted()
  }

  unlink(keys: readonly string[]): Promise<number> {
    return this.attempt('write', (client) => client.unlink(...keys))
  }

  close(): void {
    this.errors.close()
    this.wire?.close()
    this.client.disconnect()
  }
}

/** A connection's errors in our own words. */
export class RedisErrors {
  private readonly label: string
  private last: Error | null = null
  private closed = false

  constructor(label: string) {
    this.label = label
  }

  /** What went wrong last with the connection, if anything is. */
  note(error: Error | null): void {
    this.last = error
  }

  close(): void {
    this.closed = true
  }

  get isClosed(): boolean {
    return this.closed
  }

  /** @throws UnavailableError once the connection was closed */
  check(): void {
    if (this.closed) throw this.unavailable('was closed', '')
  }

  /** The client's own errors carry the command with its arguments, credentials among them: only words are taken over. */
  translated(what: 'read' | 'write', error: unknown): AsofError {
    if (error instanceof AsofError) return error
    const message = error instanceof Error ? error.message : String(error)
    if (message.startsWith('WRONGTYPE')) {
      return new IntegrityError(
        `online store ${this.label}: a key of this store holds something else than a value. Give Asof a database of its own.`,
      )
    }
    const reason = error instanceof Error ? wordsOf(this.last ?? error) : message
    return this.unavailable(`cannot ${what}`, `: ${reason.replace(/\.$/, '')}`)
  }

  restarted(): UnavailableError {
    return new UnavailableError(
      `online store ${this.label} was restarted while its values were read. Start again.`,
    )
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

/** Where a name has several addresses, Node says nothing but the code; where all nodes fail, ioredis says of one why. */
function wordsOf({ message, code, name, lastNodeError }: ClientError): string {
  if (lastNodeError instanceof Error) return wordsOf(lastNodeError)
  if (code !== undefined && untrusted.test(code)) {
    return `${message} (${code}; where it is one of your own, NODE_EXTRA_CA_CERTS names the file of who signed it)`
  }
  return message === '' ? (code ?? name) : message
}

type ClientError = Error & { readonly code?: string; readonly lastNodeError?: unknown }

/** How OpenSSL calls a certificate that nobody vouches for. */
const untrusted = /^(DEPTH_ZERO_)?SELF_SIGNED_CERT|^UNABLE_TO_(VERIFY_LEAF|GET_ISSUER)/
