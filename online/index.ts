/** The online store: its contract, its stores, and what a reader needs to judge and write what they hold. */
export * from './json.ts'
export * from './key.ts'
export * from './lmdb.ts'
export * from './read.ts'
export { openRedis, type RedisOptions } from './redis.ts'
export * from './store.ts'
export { compareOrder, schemaTag, valueSchema } from './value.ts'
export type { LmdbOptions } from './lmdbTables.ts'
