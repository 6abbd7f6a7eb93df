/** The online store: its contract, its stores, and what a reader needs to judge and write what they hold. */
export {
  cached,
  isCached,
  type CacheCounters,
  type CachedStore,
  type CacheOptions,
  type Changes,
} from './cache.ts'
export {
  eachRow,
  type FeatureColumn,
  type NumberColumn,
  type OnlineColumns,
  type OnlineRows,
} from './columns.ts'
export { mayHaveExpired } from './expiry.ts'
export * from './json.ts'
export * from './key.ts'
export * from './lmdb.ts'
export { GroupCursor, type ValueStatus, type WantedFeature } from './cursor.ts'
export { encodeFeature } from './body.ts'
export * from './read.ts'
export { readGroup, type ReadGroup } from './readGroup.ts'
export { openRedis, type RedisOptions } from './redis.ts'
export { openLmdbSamples } from './lmdbSamples.ts'
export { openRedisSamples } from './redisSamples.ts'
export { trackRedis, type RedisTracking, type TrackingOptions } from './redisTracking.ts'
export { isCluster, redisLabel, replicatedAddress } from './redisAddress.ts'
export {
  decodeSample,
  encodeGroupSample,
  encodeServiceSample,
  judgeSample,
  type GroupSample,
  type Sample,
  type ServiceSample,
} from './sampleFormat.ts'
export * from './samples.ts'
export { isSlotId, parseSlotId, slotsOf, type Slot } from './slotId.ts'
export * from './store.ts'
export { compareOrder, encodeContent, schemaTag, valueSchema } from './value.ts'
export type { LmdbOptions } from './lmdbTables.ts'
