/**
 * The three ways in which a group is computed, all deterministic.
 *
 * `aggregate` compiles windowed aggregates to SQL; `query` is a SELECT per interval; `map` is a pure TypeScript function
 * from an entity's events in a window to its features.
 */
import type { AggregateFeature } from './feature.ts'
import type { Duration } from './time.ts'

export type Compute = AggregateCompute | QueryCompute | MapCompute

export interface AggregateCompute {
  readonly kind: 'aggregate'
  readonly features: Readonly<Record<string, AggregateFeature>>
}

export interface QueryCompute {
  readonly kind: 'query'
  /** Names its sources as tables, and the interval's bounds as `$from` (exclusive) and `$to` (inclusive). */
  readonly sql: string
  readonly created: CreatedColumn | null
}

/** Where a query group's rows bring their own created timestamps (rule 6). */
export interface CreatedColumn {
  readonly column: string
  /** It already is the moment of serving and stands alone; else the greater of it and the interval's counts. */
  readonly asServed: boolean
}

/** The column already holds the moment at which the row could be served (rule 6). */
export const asServed = (column: string): CreatedColumn => ({ column, asServed: true })

export interface MapCompute {
  readonly kind: 'map'
  /** The window whose events the function sees. */
  readonly over: Duration
  /** What it sees of each event, in this order. */
  readonly columns: readonly string[]
  readonly map: MapFunction
  /**
   * Of the bundled code of the function and everything that it imports. The loader of the definitions fills it in, for only
   * it knows their files; null where nobody has.
   */
  codeHash: string | null
}

/**
 * A column's value as a function sees it: int64 as bigint, instants as milliseconds since the epoch (microseconds are
 * the fraction), decimals as numbers.
 */
export type EventValue = string | number | bigint | boolean | null

export interface MapInput {
  readonly key: Readonly<Record<string, string | number | bigint>>
  /** In the order of their times, and where those are equal, of the whole row; none in an entity's last row. */
  readonly events: readonly Readonly<Record<string, EventValue>>[]
  /** The end of the interval, in milliseconds since the epoch: every event lies before it. */
  readonly at: number
}

/** Pure: the same input gives the same output wherever, whenever and in whatever order entities come. */
export type MapFunction = (input: MapInput) => Readonly<Record<string, unknown>>
