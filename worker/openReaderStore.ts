/** Opens the online store that the reader serves from, with what it keeps of it in memory. */
import { cached, trackRedis, type OnlineStore } from '../online/index.ts'
import type { Config } from './config.ts'
import type { OnlineStoreConfig } from './onlineConfig.ts'
import { openOnlineStore } from './openOnline.ts'
import { trackedUrl } from './readerCacheConfig.ts'

/**
 * @param say told in a sentence when what was promised does not hold any more
 * @throws InputError where Redis does not let the reader track its keys
 */
export async function openReaderStore(
  config: Config,
  serving: OnlineStoreConfig,
  say: (sentence: string) => void,
): Promise<OnlineStore> {
  const store = openOnlineStore(config, serving, { readOnly: true })
  const { readerCache: cache } = config
  if (cache === null) return store
  const { ttlMs, maxBytes } = cache
  if (ttlMs !== null) return cached(store, { maxBytes, keeps: { ttlMs } })
  const changes = trackRedis({ url: trackedUrl(serving), store: config.store, onRefused: say })
  const reading = cached(store, { maxBytes, keeps: { changes } })
  try {
    await changes.started()
  } catch (error) {
    await reading.close()
    throw error
  }
  return reading
}
