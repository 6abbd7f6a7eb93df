/**
 * Hears of every change of a store in Redis, by client-side tracking: Redis sends the names of keys that are written,
 * removed or expire to whoever asked for all that begin with `<store>:` (broadcasting mode).
 *
 * One connection of its own tracks for itself: in RESP2 it redirects to its own id and subscribes to the channel of
 * invalidations. So there are no two connections of which one could be lost alone, and the store may read over any others.
 * What one script or one turn of Redis changes comes as one message, before the writer has its answer. What is not told:
 * `SWAPDB`. A proxy that spreads connections over several servers must not stand in between.
 *
 * A connection can be dead without a word (Redis stopped, the network gone). So it is pinged, and what was heard counts
 * for `trustMs` after the last ping that was answered was sent. When the connection ends, everything may have changed;
 * it comes back by itself and tracks anew.
 *
 * To be told of all keys costs, for a million that are written, 0.8 s of each reader's processor and 0.4 s of Redis's for
 * each reader (a load of them takes Redis 2.3 s by itself). To be told only of what was read costs a tenth of that, but
 * ties tracking to the connections that read, where it has to be on before the first read after every loss, and tells of
 * one key at a time, so that half of a write would be seen. With dozens of readers, a cache for a time is the cheaper one.
 */
import { Redis } from 'ioredis'
import { InputError } from '../model/index.ts'
import type { Changes, Follower } from './cache.ts'
import { redisLabel } from './redisAddress.ts'
import type { RedisOptions } from './redisConnection.ts'
import { textOf } from './redisStore.ts'

export interface RedisTracking extends Changes {
  /**
   * Resolves when tracking is on, or when Redis is away and it will be on once Redis is back.
   * @throws InputError where Redis is there and will not have it
   */
  started(): Promise<void>
  /** Resolves when everything has been told that was written before the call; at once where nothing is heard. */
  settled(): Promise<void>
}

export interface TrackingOptions extends Pick<RedisOptions, 'url' | 'store'> {
  /** Told in a sentence when Redis refuses tracking later on. */
  readonly onRefused?: (sentence: string) => void
}

/** How long what was heard is taken for everything: what an answer may lag behind when the connection dies silently. */
export const trustMs = 1_000
const pingEveryMs = 200
/** After so long without an answer the connection is given up. */
const deadAfterMs = 3_000
const longestPauseMs = 500
const channel = '__redis__:invalidate'

/** Connects at once, and again by itself. @throws InputError for what is no address */
export function trackRedis({ url, store, onRefused }: TrackingOptions): RedisTracking {
  const label = redisLabel(url)
  const client = newClient(url)
  let follower: Follower | null = null
  let isTracking = false
  /** When the last ping was sent that was answered. */
  let heardAtMs = -Infinity
  let finishStart: (refusal: InputError | null) => void
  const start = new Promise<InputError | null>((resolve) => (finishStart = resolve))

  const ping = async () => {
    const sentAtMs = performance.now()
    await client.ping()
    heardAtMs = sentAtMs
  }
  const lose = () => {
    if (isTracking) follower?.allChanged()
    isTracking = false
    // Whoever waits for the start is not kept waiting for a Redis that is away.
    finishStart(null)
  }
  const begin = async () => {
    try {
      await track(client, store)
      await ping()
      isTracking = true
      finishStart(null)
    } catch (error) {
      const refusal = refusalOf(error, label)
      if (refusal === null) {
        // What came to nothing on a living connection is tried again on the next one.
        if (client.status === 'ready') client.disconnect(true)
        return
      }
      client.disconnect()
      finishStart(refusal)
      onRefused?.(refusal.message)
    }
  }
  client.on('ready', () => void begin())
  client.on('close', lose)
  // Who reads says what is wrong with Redis.
  client.on('error', () => undefined)
  client.on('messageBuffer', (_channel: Buffer, keys: unknown) => {
    if (follower !== null) tell(follower, store, keys as readonly Buffer[] | null)
  })

  let isPinging = false
  const pinging = setInterval(() => {
    if (!isTracking || isPinging) return
    isPinging = true
    void ping()
      .catch(() => {
        // Where it ended by itself, nothing is tracked any more.
        if (isTracking) client.disconnect(true)
        lose()
      })
      .finally(() => (isPinging = false))
  }, pingEveryMs)
  pinging.unref()
  client.connect().catch(() => undefined)

  return {
    follow: (one) => (follower = one),
    isHeard: (nowMs) => isTracking && nowMs - heardAtMs < trustMs,
    async started() {
      const refusal = await start
      if (refusal !== null) throw refusal
    },
    async settled() {
      if (isTracking) await ping().catch(() => undefined)
    },
    close() {
      clearInterval(pinging)
      client.disconnect()
    },
  }
}

/** Everything that is asked of Redis, on the connection itself. */
async function track(client: Redis, store: string): Promise<void> {
  const information = await client.info('cluster')
  if (/^cluster_enabled:1/m.test(information)) throw new InputError(clusterSentence)
  const id = await client.client('ID')
  await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', `${store}:`)
  await client.subscribe(channel)
}

function newClient(url: string): Redis {
  return new Redis(url, {
    lazyConnect: true,
    connectTimeout: deadAfterMs,
    commandTimeout: deadAfterMs,
    retryStrategy: (attempt) => Math.min(attempt * 50, longestPauseMs),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A subscription without tracking behind it would look alive.
    autoResubscribe: false,
    enableOfflineQueue: false,
    // Nothing is read here: whoever reads waits for a Redis that still loads its data.
    enableReadyCheck: false,
    // On RESP3 this client drops invalidations without a word.
    protocol: 2,
    disableClientInfo: true,
  })
}

/**
 * Keys are `<store>:<group>:<key text>`, where slots share a name in place of a group's; what else begins with the store's
 * name is kept beside the card of a group or slot.
 */
function tell(follower: Follower, store: string, keys: readonly Buffer[] | null): void {
  if (keys === null) {
    follower.allChanged()
    return
  }
  const start = store.length + 1
  for (const key of keys) {
    const end = key.indexOf(colon, start)
    if (end < 0) follower.groupChanged(key.toString('latin1', start))
    else follower.valueChanged(key.toString('latin1', start, end), textOf(key.toString('utf8', end + 1)))
  }
}

const colon = 0x3a

const clusterSentence =
  'a node of a Redis Cluster tells of its own keys alone, so a cache over a cluster cannot be kept exact. Write ASOF_READER_CACHE=ttl=500ms,size=64MB.'

/** Null where another attempt may go better. */
function refusalOf(error: unknown, label: string): InputError | null {
  if (error instanceof InputError) return new InputError(`online store ${label}: ${error.message}`)
  if (!(error instanceof Error) || error.name !== 'ReplyError') return null
  if (/^(LOADING|BUSY|MASTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS)/.test(error.message)) return null
  return new InputError(
    `online store ${label} does not let the reader track its keys: ${error.message}. Allow its user +info +ping +subscribe +client|id +client|tracking and &${channel} (ACL SETUSER), or write ASOF_READER_CACHE=ttl=500ms,size=64MB.`,
  )
}
