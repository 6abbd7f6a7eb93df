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
 * A load says when it starts (`startLoad`) and when it is done (`finishLoad`). What lies between is remembered in the
 * card: values of a load that broke off are not covered by any mark, so the next load is told of it and looks at what
 * it may have written. A mark is refused where the store lost something while the load ran.
 *
 * A *slot* is what a pre-joined service has of one of its groups. To a store it is a group of its own, by an id that no
 * group has (`slotId.ts`): with its own card, loads, mark and order. Only its values lie elsewhere: all slots of a service
 * share one value per entity (`slots.ts`), so that they are read as one key.
 *
 * Siblings: `lmdb.ts` (embedded), `redis.ts`. Every store passes `test/online/conformance.ts`.
 */
import type { FeatureType, KeyType } from '../model/index.ts'
import type { OnlineRows } from './columns.ts'
import type { KeyColumns } from './key.ts'

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

/** Where a slot stands in the values that it shares. */
export interface SlotPlace {
  readonly at: number
  /** How many slots there are. */
  readonly of: number
}

export interface GroupCard {
  /** A group's id, or a slot's. */
  readonly group: string
  /** Of a slot; a group has none. */
  readonly slot?: SlotPlace
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

/** A load that has begun to write. */
export interface StartedLoad {
  readonly snapshotId: string
  readonly order: LoadOrder
}

/** What a load must know of the store when it starts, of one moment. */
export interface LoadStart {
  readonly complete: LoadMark | null
  /** Other loads that may have written beyond the mark: they are under way, or broke off. In order. */
  readonly unfinished: readonly StartedLoad[]
  /** Whether the store is sure to hold no value of the group, because it knew nothing of it. */
  readonly isFirst: boolean
  /**
   * Whether only a load of every entity is right: none was ever complete, or the ttl has grown and values that it covers
   * may have expired under the shorter one (`expiry.ts`).
   */
  readonly mustBeWhole: boolean
  /** Names the store's content for as long as nothing of it is lost; `write` and `finishLoad` want it back. */
  readonly life: string
}

/** What somebody wants to read of one group. */
export interface GroupAsk {
  readonly group: string
  /** Makes the key texts from the group's key columns, which never change; it may be called more than once. */
  readonly keys: (columns: KeyColumns) => readonly string[]
}

/** A group as it was found: values are as they are stored, for whoever reads thousands of them decodes only what is asked. */
export interface GroupFound {
  /** The same object from fetch to fetch, for as long as nothing has changed of what is kept beside the values. */
  readonly card: GroupCard
  /** The schema of a tag. @throws IntegrityError for one that the store does not keep */
  readonly schemaOf: (tag: number) => ValueSchema
  /** In the order of the asked keys: a value (`value.ts`), tombstones included, or null where there is none. */
  readonly values: readonly (Buffer | null)[]
}

export interface ScannedRow {
  readonly keys: readonly KeyValue[]
  /** Null for a tombstone. */
  readonly value: StoredValue | null
  readonly order: LoadOrder
}

export interface OnlineStore {
  /** What the store is called in marks, reports and messages, such as `lmdb`. */
  readonly name: string
  /** Whether values go some time after their ttl (`expiry.ts`). */
  readonly expires?: boolean
  readCard(group: string): Promise<GroupCard | null>
  /** Without slots. */
  listGroups(): Promise<string[]>
  /** Ids of the slots of pre-joined services. */
  listSlots(): Promise<string[]>
  /**
   * Writes a batch of rows under one order. Rows whose stored order is not smaller are left alone.
   * @param life from the load's start: what a store lost in between must not be followed by what no other load knows of
   * @returns how many rows were written
   * @throws UnavailableError where the store lost something since the load started
   */
  write(card: Omit<GroupCard, 'complete'>, order: LoadOrder, rows: OnlineRows, life?: string): Promise<number>
  /**
   * Announces a load, before its first write. Null where one of a greater order has started or finished: what this one
   * would write nobody wants any more.
   */
  startLoad(card: Omit<GroupCard, 'complete'>, load: StartedLoad): Promise<LoadStart | null>
  /**
   * Marks the end of a load. A mark never goes back to a smaller order.
   * @param life as for `write`
   * @throws UnavailableError where the store lost, since then, something that the load may have written
   */
  finishLoad(group: string, mark: LoadMark, life?: string): Promise<void>
  /** Loads that are under way, or broke off, in the order in which they started; none of a group that is not known. */
  unfinishedLoads(group: string): Promise<readonly StartedLoad[]>
  /**
   * Cards and values of several groups in one round trip; null for a group that the store does not know. What is found of
   * one group is of one moment: its values are those that its card speaks of. (In a Redis Cluster it is of one moment at
   * each node, and a node without the mark of a complete load is not believed.) Slots of one service whose `keys` make the
   * very same array are looked up once for all of them.
   */
  fetch(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]>
  /**
   * How many entities of a group the store holds a value or a tombstone of; only where that is cheaper than to scan, and
   * null for a slot, where it never is.
   */
  count?(group: string): Promise<number | null>
  /**
   * What is stored of a group, tombstones included: for comparing, not for serving. In no promised order. Every entity
   * comes at least once; in a store that walks its keys without a lock (Redis) it may come again.
   */
  scan(group: string): AsyncIterable<ScannedRow>
  /**
   * Forgets a group: first that it was ever loaded, so that readers answer 503 from then on, then its values, then its
   * card. A load that is under way meanwhile is refused its mark, and starts anew when it is tried again.
   * @returns how many entities it held; null where the store knew nothing of the group
   */
  drop(group: string): Promise<number | null>
  close(): Promise<void>
}
