/** Opens an online store and the samples beside it: all that a reader needs, so neither DuckDB nor Iceberg is loaded here. */
import { mkdirSync } from 'node:fs'
import {
  openLmdb,
  openLmdbSamples,
  openRedis,
  openRedisSamples,
  type OnlineStore,
  type SampleStore,
} from '../online/index.ts'
import type { Config } from './config.ts'
import type { OnlineStoreConfig } from './onlineConfig.ts'
import { onlinePath, samplesPath } from './paths.ts'

/** Redis is asked for nothing before it is used, so that one which is away stops only what needs it. */
export function openOnlineStore(
  config: Config,
  { name, url }: OnlineStoreConfig,
  { readOnly = false, now }: { readonly readOnly?: boolean; readonly now?: () => number } = {},
): OnlineStore {
  if (url !== null)
    return openRedis({ url, name, store: config.store, ...(now === undefined ? {} : { now }) })
  if (readOnly) mkdirSync(onlinePath(config), { recursive: true })
  return openLmdb({ path: onlinePath(config), store: config.store, readOnly })
}

/** The served samples of an online store. */
export function openSampleStore(
  config: Config,
  { name, url }: OnlineStoreConfig,
  readOnly = false,
): SampleStore {
  if (url !== null) return openRedisSamples({ url, name, store: config.store })
  return openLmdbSamples({ path: samplesPath(config), store: config.store, readOnly })
}
