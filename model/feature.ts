/**
 * Windowed aggregates over the events of a source.
 *
 * A feature stamped `t` over `w` sees the events with `t - w <= event time < t` (rule 3): the upper end is open, so a
 * label at exactly `t` cannot see its own event. An empty window gives null; counts give 0.
 *
 * Results: `count` int64; `sum` int64 over integers (an overflow fails the run) and float64 over floats; `mean` and
 * `share` float64; `min` and `max` the type of their column.
 */
import type { Condition } from './condition.ts'
import type { Duration } from './time.ts'

export const featureTypes = [
  'boolean',
  'int32',
  'int64',
  'float32',
  'float64',
  'string',
  'timestamp',
] as const
export type FeatureType = (typeof featureTypes)[number]

export const aggregates = ['count', 'sum', 'mean', 'min', 'max', 'share'] as const
export type Aggregate = (typeof aggregates)[number]

export interface AggregateFeature {
  readonly kind: 'aggregate'
  readonly aggregate: Aggregate
  /** The column that is aggregated; null for `count()` of rows and for `share`. */
  readonly column: string | null
  /** What `share` takes the share of. */
  readonly condition: Condition | null
  /** Which events count at all. */
  readonly where: Condition | null
  readonly over: Duration
  readonly description?: string
}

export interface WindowOptions {
  /** The length of the window, such as `24h`. */
  over: Duration
  /** Only events that meet this condition count. */
  where?: Condition
  description?: string
}

function aggregate(
  kind: Aggregate,
  column: string | null,
  condition: Condition | null,
  { over, where, ...rest }: WindowOptions,
): AggregateFeature {
  return { kind: 'aggregate', aggregate: kind, column, condition, where: where ?? null, over, ...rest }
}

/** The number of events, or of events whose column is not null. */
export function count(options: WindowOptions): AggregateFeature
export function count(column: string, options: WindowOptions): AggregateFeature
export function count(first: string | WindowOptions, second?: WindowOptions): AggregateFeature {
  return typeof first === 'string'
    ? aggregate('count', first, null, second ?? ({} as WindowOptions))
    : aggregate('count', null, null, first)
}

/** The sum of a column's values that are not null. */
export const sum = (column: string, options: WindowOptions) => aggregate('sum', column, null, options)
/** The mean of a column's values that are not null. */
export const mean = (column: string, options: WindowOptions) => aggregate('mean', column, null, options)
/** The smallest value of a column. */
export const min = (column: string, options: WindowOptions) => aggregate('min', column, null, options)
/** The greatest value of a column. */
export const max = (column: string, options: WindowOptions) => aggregate('max', column, null, options)
/** The share of events that meet a condition, among those for which the condition is not null. */
export const share = (condition: Condition, options: WindowOptions) =>
  aggregate('share', null, condition, options)
