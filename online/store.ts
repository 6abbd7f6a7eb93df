/**
 * The online store's contract.
 *
 * A store keeps, for every group (`<name>_v<version>`), one value per entity: the winner of rule 4 over the published
 * table, or a tombstone. What decides between two writes is the value's *order*, never the time of writing (rule 9):
 * first the table's incarnation, then the snapshot's sequence number; a write replaces what is stored if its order is
 * greater, and is dropped without a word otherwise. So loads may come twice, late or in any order, and all stores end
 * the same. Equal orders carry equal content, so either may stay.
 *
 * Beside the values a group keeps its *card*: everything that a reader needs to decode and judge them (keys, the
 * schema of every tag, ttl, cadence, when it was last loaded and from which snapshot), so that a reader needs neither
 * the registry nor the definitions. A card with `complete` null means that no full load has ever finished: a reader
 * answers 503, not "no such entity".
 *
 * Siblings: `lmdb.ts` (embedded). Every store passes `test/online/conformance.ts`.
 */
import type { FeatureType, KeyType } from '../model/index.ts'

/** Which of two writes wins: the greater incarnation, then the greater sequence number. */
export interface LoadOrder {
  readonly incarnation: bigint
  readonly sequenceNumber: bigint
}

export type KeyValue = string | number | bigint
export type ScalarValue = boolean | number | bigint | string | null
/** Lists and vectors are arrays. */
export type FeatureValue = ScalarValue | readonly ScalarValue[]

/** The features of a value, in order. A value names its schema by tag; old tags stay readable. */
export interface ValueSchema {
  /** First 8 hex digits of a hash of names and types. */
  readonly tag: string
  readonly features: readonly { readonly name: string; readonly type: FeatureType }[]
}

export interface OnlineRow {
  /** In the order of the entity's keys. */
  readonly keys: readonly KeyValue[]
  /** Microseconds since the epoch. Null for a tombstone, and then `values` is null too. */
  readonly eventTimestampMicros: bigint | null
  /** In the order of the schema; timestamps as microseconds in a bigint. */
  readonly values: readonly FeatureValue[] | null
}

export interface LoadMark {
  readonly snapshotId: string
  readonly order: LoadOrder
  /** On the store's clock. */
  readonly loadedAtMs: number
}

export interface GroupCard {
  readonly group: string
  readonly keys: readonly { readonly name: string; readonly type: KeyType }[]
  /** The schema that new values have. */
  readonly schema: ValueSchema
  /** What fills in for every status but PRESENT (rule 10), by feature. */
  readonly defaults: Readonly<Record<string, FeatureValue>>
  readonly ttlMs: number | null
  readonly cadenceMs: number
  /** The last complete load; null until there was one. */
  readonly complete: LoadMark | null
}

export interface StoredValue {
  readonly eventTimestampMicros: bigint
  readonly schema: ValueSchema
  readonly values: readonly FeatureValue[]
}

export interface OnlineStore {
  /** What the store is called in marks, reports and messages, such as `lmdb`. */
  readonly name: string
  readCard(group: string): Promise<GroupCard | null>
  listGroups(): Promise<string[]>
  /**
   * Writes a batch of rows under one order. Rows whose stored order is not smaller are left alone.
   * @returns how many rows were written
   */
  write(card: Omit<GroupCard, 'complete'>, order: LoadOrder, rows: readonly OnlineRow[]): Promise<number>
  /** Marks the end of a load. A mark never goes back to a smaller order. */
  finishLoad(group: string, mark: LoadMark): Promise<void>
  /** Values in the order of the asked keys; null where there is none or a tombstone. One round trip. */
  read(group: string, keys: readonly (readonly KeyValue[])[]): Promise<(StoredValue | null)[]>
  /** How many entities of a group the store holds a value or a tombstone of; only where that is cheaper than to scan. */
  count?(group: string): Promise<number>
  /** Every stored value of a group that is no tombstone, in key order: for comparing, not for serving. */
  scan(group: string): AsyncIterable<{ keys: readonly KeyValue[]; value: StoredValue; order: LoadOrder }>
  close(): Promise<void>
}
