/**
 * The connection to a Redis Cluster. ioredis finds the nodes, follows slots that move and sends what has one key where it
 * lies; what is read or written of many keys is sent here, node by node, each node's commands in one go.
 */
import { Cluster, Redis, type ClusterNode, type RedisOptions as ClientOptions } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError } from '../model/index.ts'
import { keySlot, slotCount } from './keySlot.ts'
import type { EncodedRows } from './encodedRows.ts'
import { clusterAddress } from './redisAddress.ts'
import {
  commonOptions,
  defaultTimeoutMs,
  RedisErrors,
  type Client,
  type RedisOptions,
  type Script,
  type Servers,
} from './redisConnection.ts'
import { nextStretch } from './redisRequest.ts'
import { markCount, markSlot } from './redisMarks.ts'

/** Which node serves which slot, as it was last heard. */
export interface Topology {
  /** By slot: `host:port`, or empty. */
  readonly owners: readonly string[]
  /** Of every node that has one: a stretch whose mark lies there. */
  readonly marks: ReadonlyMap<string, number>
}

/** A call of a script for one key. */
export interface KeyCall {
  readonly key: string | Buffer
  readonly args: readonly (string | Buffer)[]
}

/** A slot is served by another node than was thought. */
export class Moved extends Error {}

const refreshEveryMs = 2_000
const callsAtOnce = { keys: 1_000, bytes: 2 ** 22 }

export class RedisClusterConnection implements Servers {
  readonly label: string
  /** After so long nothing that was asked is waited for any more. */
  readonly longestCallMs: number
  private readonly store: string
  private readonly cluster: Cluster
  private readonly errors: RedisErrors
  private readonly refreshing: NodeJS.Timeout
  private known: Topology | null = null

  constructor({ url, store, timeoutMs = defaultTimeoutMs }: RedisOptions) {
    const { label, nodes, user } = clusterAddress(url)
    this.label = label
    this.store = store
    this.longestCallMs = 2 * timeoutMs
    this.errors = new RedisErrors(label)
    this.cluster = new Cluster(nodes as ClusterNode[], {
      lazyConnect: true,
      clusterRetryStrategy: (attempt) => Math.min(attempt * 50, 500),
      maxRedirections: 5,
      slotsRefreshTimeout: timeoutMs,
      // Ours: theirs goes on for ever where it is ended while it asks.
      slotsRefreshInterval: 0,
      // Certificates have names: nodes are asked by those that the address or the cluster gives, not by what they resolve to.
      dnsLookup: (name, callback) => callback(null, name),
      redisOptions: { ...commonOptions(timeoutMs), ...user },
    })
    this.cluster.on('error', (error: Error) => {
      this.errors.note(error)
      void this.learnWhy({ ...commonOptions(timeoutMs), ...user, ...nodes[0] })
    })
    this.cluster.on('ready', () => this.errors.note(null))
    this.cluster.on('refresh', () => this.look())
    this.refreshing = setInterval(() => {
      if (this.cluster.status === 'ready') void this.refresh()
    }, refreshEveryMs)
    this.refreshing.unref()
  }

  /** Of a connection that came to nothing ioredis says here only that it is closed: one by itself says why. */
  private async learnWhy(options: ClientOptions): Promise<void> {
    const probe = new Redis({ ...options, retryStrategy: () => null })
    probe.on('error', (error: Error) => {
      if (this.cluster.status !== 'ready') this.errors.note(error)
    })
    await probe.connect().catch(() => undefined)
    probe.disconnect()
  }

  attempt<T>(what: 'read' | 'write', work: (client: Client) => Promise<T>): Promise<T> {
    return this.bounded(what, () => work(this.cluster))
  }

  mget(names: readonly string[]): Promise<(Buffer | null)[]> {
    return this.attempt('read', (client) => client.mgetBuffer(...names))
  }

  async run(
    { sha, text }: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<number> {
    return this.bounded('write', async () => {
      try {
        return Number(await this.cluster.call('EVALSHA', sha, keys.length, ...keys, ...args))
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
        return Number(await this.cluster.call('EVAL', text, keys.length, ...keys, ...args))
      }
    })
  }

  /** A run of rows at a time, so that what is under way stays bounded. */
  async putAll(
    script: Script,
    args: readonly (string | Buffer)[],
    rows: EncodedRows,
    before: () => Promise<void>,
  ): Promise<number> {
    let written = 0
    for (let next = 0; next < rows.length;) {
      await before()
      const { from, to } = nextStretch(rows, next, callsAtOnce)
      const calls = Array.from({ length: to - from }, (_, at): KeyCall => {
        const key = rows.key(from + at)
        // The script's first key is the record, which lies elsewhere.
        return { key, args: [key, ...args, rows.value(from + at)] }
      })
      written += await this.runEach(script, calls, 2)
      next = to
    }
    return written
  }

  /** Runs a script once for each key, and adds its answers up. @param keys how many of key and arguments are keys */
  runEach({ sha, text }: Script, calls: readonly KeyCall[], keys = 1): Promise<number> {
    return this.bounded('write', async () => {
      const topology = await this.topology()
      const byNode = grouped(calls, ({ key }) => topology.owners[keySlot(key)] ?? '')
      const sums = await Promise.all(
        Array.from(byNode, async ([name, own]) => {
          const pipeline = this.nodeOf(name).pipeline()
          pipeline.script('LOAD', text)
          for (const { key, args } of own) pipeline.call('EVALSHA', sha, keys, key, ...args)
          const [loaded, ...answers] = (await pipeline.exec()) ?? []
          let sum = 0
          for (const [at, [error, answer]] of answers.entries()) {
            if (error === null) sum += Number(answer)
            // What a user may not load is not there: the refusal says more.
            else if (error.message.startsWith('NOSCRIPT')) throw loaded?.[0] ?? error
            else sum += await this.elsewhere(text, own[at] as KeyCall, keys, error)
          }
          return sum
        }),
      )
      return sums.reduce((sum, one) => sum + one, 0)
    })
  }

  private async elsewhere(text: string, { key, args }: KeyCall, keys: number, error: Error): Promise<number> {
    if (!/^(MOVED|ASK|TRYAGAIN) /.test(error.message)) throw error
    return Number(await this.cluster.call('EVAL', text, keys, key, ...args))
  }

  /** @throws Moved where the topology is another one by now */
  getEach(names: readonly string[], given?: Topology): Promise<(Buffer | null)[]> {
    return this.bounded('read', async () => {
      const topology = given ?? (await this.topology())
      const byNode = grouped(names.keys(), (at) => topology.owners[keySlot(names[at] ?? '')] ?? '')
      const found = new Array<Buffer | null>(names.length).fill(null)
      await Promise.all(
        Array.from(byNode, async ([name, places]) => {
          const pipeline = this.nodeOf(name).pipeline()
          for (const at of places) pipeline.getBuffer(names[at] ?? '')
          const answers = (await pipeline.exec()) ?? []
          for (const [index, [error, answer]] of answers.entries()) {
            const at = places[index] ?? 0
            found[at] =
              error === null ? (answer as Buffer | null) : await this.readElsewhere(names[at] ?? '', error)
          }
        }),
      )
      return found
    })
  }

  /** While a slot moves, what has moved is read at its new node; once it has, the whole question is asked again. */
  private async readElsewhere(name: string, error: Error): Promise<Buffer | null> {
    if (error.message.startsWith('WRONGTYPE')) return null
    if (/^(ASK|TRYAGAIN) /.test(error.message)) return this.cluster.getBuffer(name)
    if (!error.message.startsWith('MOVED ')) throw error
    await this.refresh()
    throw new Moved()
  }

  /** Connects where nobody has yet. */
  async topology(): Promise<Topology> {
    if (this.known === null) {
      // A user may be allowed the store's own keys alone.
      await this.bounded('read', () => this.cluster.exists(this.store))
      this.look()
    }
    return this.known as unknown as Topology
  }

  /**
   * Names all masters that run, or the one that serves a key: another name after one was restarted or a replica has taken
   * over, though that had been the master before.
   */
  async runId(key?: string): Promise<string> {
    const { owners } = await this.topology()
    const names = key === undefined ? [...new Set(owners)].sort() : [owners[keySlot(key)] ?? '']
    return this.bounded('read', async () => {
      const ids = await Promise.all(
        names.map(async (name) => {
          const information = await this.nodeOf(name).info('server', 'replication')
          if (!/^role:master/m.test(information)) throw new Error(`${name} is no master any more`)
          const [, runId = ''] = /^run_id:(\w+)/m.exec(information) ?? []
          const [, reign = ''] = /^master_replid:(\w+)/m.exec(information) ?? []
          return `${runId}.${reign}`
        }),
      )
      return ids.join('+')
    })
  }

  async *scanKeys(pattern: string, count: number): AsyncGenerator<string[]> {
    const { owners } = await this.topology()
    for (const name of new Set(owners)) {
      let cursor = '0'
      do {
        const at = cursor
        const scan = () => this.nodeOf(name).scan(at, 'MATCH', pattern, 'COUNT', count)
        const [next, keys] = await this.bounded('read', scan)
        if (keys.length > 0) yield keys
        cursor = next
      } while (cursor !== '0')
    }
    if ((await this.topology()).owners !== owners) throw this.errors.restarted()
  }

  async unlink(keys: readonly string[]): Promise<number> {
    const counts = await this.bounded('write', () => Promise.all(keys.map((key) => this.cluster.unlink(key))))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  close(): void {
    this.errors.close()
    clearInterval(this.refreshing)
    this.cluster.disconnect()
  }

  private nodeOf(name: string): Redis {
    const isIt = ({ options: { host, port } }: Redis) => `${host}:${port}` === name
    const node = this.cluster.nodes('master').find(isIt)
    if (node !== undefined) return node
    throw new Error(name === '' ? 'some slots are served by no node' : `node ${name} is away`)
  }

  private refresh(): Promise<void> {
    return new Promise((resolve) => this.cluster.refreshSlotsCache(() => resolve()))
  }

  /** Takes the slots over as ioredis knows them now; the same object where nothing has changed. */
  private look(): void {
    const slots = this.cluster.slots
    const owners = Array.from({ length: slotCount }, (_, slot) => slots[slot]?.[0] ?? '')
    const before = this.known?.owners
    if (before !== undefined && owners.every((owner, slot) => owner === before[slot])) return
    const marks = new Map<string, number>()
    for (let stretch = 0; stretch < markCount; stretch++) marks.set(owners[markSlot(stretch)] ?? '', stretch)
    this.known = { owners, marks }
  }

  /** The cluster's own queue has no end: whatever is asked is given up after a time. */
  private async bounded<T>(what: 'read' | 'write', work: () => Promise<T>): Promise<T> {
    this.errors.check()
    const stop = new AbortController()
    const late = sleep(this.longestCallMs, undefined, { signal: stop.signal }).then(() => {
      throw new Error('Command timed out')
    })
    late.catch(() => undefined)
    try {
      return await Promise.race([work(), late])
    } catch (error) {
      if (error instanceof Moved || error instanceof UnavailableError) throw error
      void this.refresh()
      throw this.errors.translated(what, error)
    } finally {
      stop.abort()
    }
  }
}

function grouped<T>(items: Iterable<T>, nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = nameOf(item)
    const there = groups.get(name)
    if (there === undefined) groups.set(name, [item])
    else there.push(item)
  }
  return groups
}
