/**
 * Aggregates over the events of a window themselves: their tiles' values do not add up to the window's.
 *
 * None depends on the order of rows on disk: values and (time, value) pairs have one order, and of equal ones it makes no
 * difference which is taken. Variances are floating-point sums and vary in their last bits (rule 8).
 */
import { InputError } from '../model/errors.ts'
import { listOf, type AggregateFeature, type FeatureType } from '../model/feature.ts'
import { over, type EventAggregate, type SequenceAggregate } from './aggregate.ts'
import { classOf, duckdbTypeOf, scalarTypeOf } from './columnType.ts'
import type { ColumnSql } from './condition.ts'

/** @param column of a type that fits, where the aggregate wants numbers */
export function eventAggregate(
  feature: AggregateFeature,
  column: ColumnSql | null,
  where: readonly string[],
): EventAggregate | SequenceAggregate {
  const { aggregate, column: name, k = 1, q = 0 } = feature
  const type = column === null ? null : scalarTypeOf(column.type)
  if (column === null || type === null) {
    throw new InputError(
      `${aggregate} of column ${name}: values of type ${column?.type} have no order. Use a number, text, boolean or instant.`,
      { column: name },
    )
  }
  const { sql } = column
  const value = orderedValue(sql, type)
  switch (aggregate) {
    case 'variance':
      return spread('var_samp', column, where)
    case 'standardDeviation':
      return spread('stddev_samp', column, where)
    case 'quantile':
      return single('float64', over(`quantile_cont(CAST(${sql} AS DOUBLE), ${q})`, where))
    case 'distinctCount':
      return single('int64', over(`count(DISTINCT ${value})`, where))
    case 'approxDistinctCount':
      return single('int64', over(`approx_count_distinct(${value})`, where))
    case 'topK':
      return single(listOf(type), over(`max(${value}, ${k})`, [...where, `${sql} IS NOT NULL`]))
    case 'bottomK':
      return single(listOf(type), over(`min(${value}, ${k})`, [...where, `${sql} IS NOT NULL`]))
    default:
      return {
        over: 'sequences',
        type: listOf(type),
        ...{ value, conditions: [...where, `${sql} IS NOT NULL`], k },
        side: aggregate === 'firstK' ? 'first' : 'last',
      }
  }
}

/** A column's value as the feature's type, with one zero: -0 and 0 are equal, so either could be the answer. */
export function orderedValue(sql: string, type: FeatureType): string {
  const cast = `CAST(${sql} AS ${duckdbTypeOf(type)})`
  if (type === 'float64') return `(${cast} + 0)`
  return type === 'float32' ? `CAST(${cast} + 0 AS FLOAT)` : cast
}

/** Counts are of an empty window 0, everything else is null. */
const single = (type: FeatureType, call: string): EventAggregate => ({
  over: 'events',
  type,
  calls: [call],
  value: ([result]) => (type === 'int64' ? `coalesce(${result}, 0)` : String(result)),
})

/** DuckDB refuses to take the variance of what is not finite; here it is NaN, as the mean is. */
function spread(call: string, { sql, type }: ColumnSql, where: readonly string[]): EventAggregate {
  const value = `CAST(${sql} AS DOUBLE)`
  if (classOf(type) !== 'float') return single('float64', over(`${call}(${value})`, where))
  return {
    over: 'events',
    type: 'float64',
    calls: [
      over(`${call}(${value})`, [...where, `isfinite(${value})`]),
      over('count(*)', [...where, `NOT isfinite(${value})`]),
    ],
    value: ([finite, others]) => `CASE WHEN ${others} > 0 THEN CAST('NaN' AS DOUBLE) ELSE ${finite} END`,
  }
}
