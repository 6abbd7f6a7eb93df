/**
 * Windowed aggregates over the events of a source.
 *
 * A feature stamped `t` over `w` sees the events with `t - w <= event time < t` (rule 3): the upper end is open, so a
 * label at exactly `t` cannot see its own event. Over `'unbounded'` it sees every event since the source's
 * `completeFrom`. An empty window gives null; counts give 0. Nulls are left out.
 *
 * Results: `count`, `distinctCount` and `approxDistinctCount` int64; `sum` int64 over integers (an overflow fails the
 * run) and float64 over floats; `mean`, `share`, `variance`, `standardDeviation` and `quantile` float64; `min`, `max`,
 * `first` and `last` the type of their column; `topK`, `bottomK`, `firstK` and `lastK` lists of it; `histogram`
 * `list<int64>`.
 *
 * Ties have one answer: events of one time are ordered by the aggregated column and then by the rest of the row, which
 * then makes no difference any more.
 */
import type { AnyValue, Valued } from './answers.ts'
import type { Condition } from './condition.ts'
import type { Duration } from './time.ts'
import type { FeatureDefault, Scalar } from './featureDefault.ts'

export * from './featureType.ts'
export type * from './featureDefault.ts'

export const aggregates = [
  'count',
  'sum',
  'mean',
  'min',
  'max',
  'share',
  'variance',
  'standardDeviation',
  'first',
  'last',
  'distinctCount',
  'approxDistinctCount',
  'quantile',
  'topK',
  'bottomK',
  'firstK',
  'lastK',
  'histogram',
] as const
export type Aggregate = (typeof aggregates)[number]

/** How far a feature looks back: a length of time, or everything since the source is complete. */
export type Window = Duration | 'unbounded'

/** `Value` is what it is served as: `bigint | null` of a count, `bigint` where it has a default. */
export interface AggregateFeature<out Value = AnyValue> extends Valued<Value> {
  readonly kind: 'aggregate'
  readonly aggregate: Aggregate
  /** The column that is aggregated; null for `count()` of rows and for `share`. */
  readonly column: string | null
  /** What `share` takes the share of. */
  readonly condition: Condition | null
  /** Which events count at all. */
  readonly where: Condition | null
  readonly over: Window
  /** Of `quantile`: 0 to 1. */
  readonly q?: number
  /** Of `topK`, `bottomK`, `firstK` and `lastK`: how many. */
  readonly k?: number
  /** Of `histogram`, ascending. */
  readonly edges?: readonly number[]
  readonly description?: string
  /** Why what is computed has changed under the same version of its group. */
  readonly fix?: string
  readonly default?: FeatureDefault
}

export interface WindowOptions<Default extends FeatureDefault = FeatureDefault> {
  /** The length of the window, such as `24h`, or `'unbounded'`. */
  over: Window
  /** Only events that meet this condition count. */
  where?: Condition
  description?: string
  /** Says that a change of this feature is a fix: the same meaning, computed rightly. Its intervals become missing. */
  fix?: string
  /** What is served and trained on where there is no value; the status still tells that there is none. */
  default?: Default
}

/** With a default, so that the value is never null. */
export type WithDefault<Default extends FeatureDefault> = WindowOptions<Default> & { default: Default }

/** An aggregate of a column, with what is written between the two (how many, which quantile). */
export interface AggregateOf<Value, Default extends FeatureDefault, Between extends unknown[] = []> {
  (column: string, ...rest: [...Between, options: WithDefault<Default>]): AggregateFeature<Value>
  (column: string, ...rest: [...Between, options: WindowOptions<Default>]): AggregateFeature<Value | null>
}

type Whole = number | bigint
type SomeOfColumn = AggregateOf<readonly Scalar[], readonly Scalar[], [k: number]>
type Parameters = Pick<AggregateFeature, 'q' | 'k' | 'edges'>

function aggregate(
  kind: Aggregate,
  column: string | null,
  { over, where, ...rest }: WindowOptions,
  parameters: Parameters & { condition?: Condition } = {},
): AggregateFeature<never> {
  const { condition = null, ...others } = parameters
  return {
    kind: 'aggregate',
    aggregate: kind,
    column,
    condition,
    where: where ?? null,
    over,
    ...others,
    ...rest,
  }
}

const ofColumn = (kind: Aggregate) => (column: string, options: WindowOptions) =>
  aggregate(kind, column, options)
const ofList = (kind: Aggregate) => (column: string, k: number, options: WindowOptions) =>
  aggregate(kind, column, options, { k })

/** The number of events, or of events whose column is not null. */
export function count(options: WithDefault<Whole>): AggregateFeature<bigint>
export function count(options: WindowOptions<Whole>): AggregateFeature<bigint | null>
export function count(column: string, options: WithDefault<Whole>): AggregateFeature<bigint>
export function count(column: string, options: WindowOptions<Whole>): AggregateFeature<bigint | null>
export function count(
  first: string | WindowOptions<Whole>,
  second?: WindowOptions<Whole>,
): AggregateFeature<never> {
  return typeof first === 'string'
    ? aggregate('count', first, second ?? ({} as WindowOptions))
    : aggregate('count', null, first)
}

/** The sum of a column's values. */
export const sum: AggregateOf<bigint | number, Whole> = ofColumn('sum')
/** The mean of a column's values. */
export const mean: AggregateOf<number, number> = ofColumn('mean')
/** The smallest value of a column. */
export const min: AggregateOf<Scalar, Scalar> = ofColumn('min')
/** The greatest value of a column. */
export const max: AggregateOf<Scalar, Scalar> = ofColumn('max')

/** The share of events that meet a condition, among those for which the condition is not null. */
export function share(condition: Condition, options: WithDefault<number>): AggregateFeature<number>
export function share(condition: Condition, options: WindowOptions<number>): AggregateFeature<number | null>
export function share(condition: Condition, options: WindowOptions<number>): AggregateFeature<never> {
  return aggregate('share', null, options, { condition })
}

/** The sample variance (divided by n - 1) of a column's values; null under two of them. */
export const variance: AggregateOf<number, number> = ofColumn('variance')
/** The sample standard deviation (the root of `variance`); null under two values. */
export const standardDeviation: AggregateOf<number, number> = ofColumn('standardDeviation')

/** The earliest value of a column. */
export const first: AggregateOf<NonNullable<AnyValue>, FeatureDefault> = ofColumn('first')
/** The latest value of a column. */
export const last: AggregateOf<NonNullable<AnyValue>, FeatureDefault> = ofColumn('last')

/** How many different values a column has. */
export const distinctCount: AggregateOf<bigint, Whole> = ofColumn('distinctCount')
/** About how many different values a column has (HyperLogLog: mostly within a tenth); the same every time. */
export const approxDistinctCount: AggregateOf<bigint, Whole> = ofColumn('approxDistinctCount')

/**
 * The exact quantile of a column of numbers, `q` from 0 to 1: between two values it is interpolated linearly, as by
 * DuckDB's and SQL's `quantile_cont` and NumPy's default. `quantile('delay', 0.5, …)` is the median.
 */
export const quantile: AggregateOf<number, number, [q: number]> = (
  column: string,
  q: number,
  options: WindowOptions,
) => aggregate('quantile', column, options, { q })

/** The `k` greatest values, the greatest first. Equal values count each. */
export const topK: SomeOfColumn = ofList('topK')
/** The `k` smallest values, the smallest first. */
export const bottomK: SomeOfColumn = ofList('bottomK')
/** The `k` earliest values, the oldest first. */
export const firstK: SomeOfColumn = ofList('firstK')
/** The `k` latest values, the newest first. */
export const lastK: SomeOfColumn = ofList('lastK')

/**
 * How many values lie between neighbouring edges: one count for each two of them. A value on an edge counts in the bucket
 * above it, one on the last edge in the last bucket (as NumPy counts); values outside of all edges and NaN count nowhere.
 */
export const histogram: AggregateOf<readonly bigint[], readonly Whole[], [edges: readonly number[]]> = (
  column: string,
  edges: readonly number[],
  options: WindowOptions,
) => aggregate('histogram', column, options, { edges })

/**
 * One aggregate over several windows, named after them.
 *
 * @example
 * features: { ...windows('mean_delay', ['1h', '24h'], (over) => mean('delay', { over })) } // mean_delay_1h, mean_delay_24h
 */
export function windows<
  const Name extends string,
  const Over extends Window,
  Feature extends AggregateFeature,
>(
  name: Name,
  over: readonly Over[],
  make: (over: Over) => Feature,
): { [W in Over as `${Name}_${W}`]: Feature } {
  return Object.fromEntries(over.map((window) => [`${name}_${window}`, make(window)])) as {
    [W in Over as `${Name}_${W}`]: Feature
  }
}
