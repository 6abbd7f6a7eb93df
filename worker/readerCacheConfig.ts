/**
 * What the reader keeps in memory: `ASOF_READER_CACHE`, which is `off`, `ttl=500ms,size=64MB` (what was read may be
 * answered for half a second) or `tracking,size=64MB` (kept exact by Redis). The size may be left out.
 */
import { InputError } from '../model/index.ts'
import { isCluster, replicatedAddress } from '../online/index.ts'
import type { OnlineStoreConfig } from './onlineConfig.ts'

export interface ReaderCacheConfig {
  /** Null for a cache that is kept exact by tracking. */
  readonly ttlMs: number | null
  readonly maxBytes: number
}

const usualSize = '64MB'
const forms = 'off, ttl=500ms,size=64MB or tracking,size=64MB'
const unitsInMs = { ms: 1, s: 1_000, m: 60_000 }
const unitsInBytes = { MB: 2 ** 20, GB: 2 ** 30 }

/** Null for no cache. @throws InputError */
export function parseReaderCache(text: string): ReaderCacheConfig | null {
  if (text === 'off') return null
  const [, ttl, size = usualSize] = /^(?:ttl=([^,]*)|tracking)(?:,size=([^,]*))?$/.exec(text) ?? refuse(text)
  return { ttlMs: ttl === undefined ? null : ttlOf(ttl), maxBytes: sizeOf(size) }
}

function ttlOf(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,5})(ms|s|m)$/.exec(text) ?? refuse(`ttl=${text}`)
  return Number(count) * unitsInMs[unit as keyof typeof unitsInMs]
}

function sizeOf(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,5})(MB|GB)$/.exec(text) ?? refuse(`size=${text}`)
  return Number(count) * unitsInBytes[unit as keyof typeof unitsInBytes]
}

function refuse(what: string): never {
  throw new InputError(`ASOF_READER_CACHE: ${JSON.stringify(what)} is none. Write ${forms}.`)
}

/** @throws InputError where the store that serves tells nobody of its changes */
export function checkReaderCache(
  cache: ReaderCacheConfig | null,
  serving: OnlineStoreConfig | undefined,
): void {
  if (cache !== null && cache.ttlMs === null && serving !== undefined) trackedUrl(serving)
}

/** The address of the Redis that tells of its changes. @throws InputError where the store is none */
export function trackedUrl({ name, url }: OnlineStoreConfig): string {
  if (url !== null && (isCluster(url) || replicatedAddress(url).replicas.length > 0)) {
    throw new InputError(
      `ASOF_READER_CACHE=tracking: the reader serves from ${name}, whose values come from several servers, and each tells of its own changes. Write ttl=500ms,size=64MB, or name a single Redis first in ASOF_ONLINE.`,
    )
  }
  if (url !== null) return url
  throw new InputError(
    `ASOF_READER_CACHE=tracking: the reader serves from ${name}, which is memory of this machine already and tells of no changes. Write off, or name a Redis first in ASOF_ONLINE.`,
  )
}
