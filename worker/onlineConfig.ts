/**
 * Which online stores there are: `ASOF_ONLINE`, a comma-separated list of `lmdb` and addresses of Redis, such as
 * `lmdb,redis://user:password@host:6379/0`, with replicas or of a Redis Cluster, too (`online/redisAddress.ts`). The first
 * one serves; all are loaded. A second Redis wants a name: `cache=redis://other:6379/0`. Names go into marks and into the
 * names of load files.
 */
import { InputError } from '../model/index.ts'
import { redisLabel } from '../online/index.ts'

export interface OnlineStoreConfig {
  readonly name: string
  /** Of a Redis, credentials included; null for LMDB under the store's home. */
  readonly url: string | null
}

/** @throws InputError that shows no credentials */
export function parseOnlineStores(text: string): OnlineStoreConfig[] {
  const stores = text.split(',').map((entry) => parseEntry(entry.trim()))
  const names = stores.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) {
    throw new InputError(
      `ASOF_ONLINE has two online stores called ${twice}. Write lmdb once, and give a further Redis a name: other=redis://host:6379/0.`,
    )
  }
  const places = stores.map(({ url }) => (url === null ? 'lmdb' : redisLabel(url)))
  const shared = places.find((place, at) => places.indexOf(place) !== at)
  if (shared !== undefined) {
    throw new InputError(`ASOF_ONLINE has ${shared} under two names. Name every database once.`)
  }
  return stores
}

function parseEntry(entry: string): OnlineStoreConfig {
  if (entry === 'lmdb') return { name: 'lmdb', url: null }
  const [, given, rest] = /^([^=:/@]*)=(.*)$/.exec(entry) ?? []
  const name = given ?? 'redis'
  const url = rest ?? entry
  if (!/^[a-z][a-z0-9_-]{0,31}$/.test(name) || name === 'lmdb') {
    throw new InputError(
      `ASOF_ONLINE: ${JSON.stringify(name)} cannot be the name of a Redis. Use lower-case letters, digits, hyphens and underscores, and not lmdb.`,
    )
  }
  try {
    redisLabel(url)
  } catch {
    throw new InputError(
      `ASOF_ONLINE: the entry for ${name} is neither lmdb nor the address of a Redis. Write redis://host:6379/0, or rediss:// for TLS, with user:password@ before the host where it wants them, and %2C for a comma; a cluster is redis+cluster://host:7000?nodes=host:7001;host:7002.`,
    )
  }
  return { name, url }
}
