/**
 * By how much a feature may vary from one computation to the next: DuckDB adds fractions up in no fixed order, so two sums
 * are equal where they differ by at most 1e-9 of the sum of the magnitudes (rule 8). That sum is an aggregate of its own,
 * because it does not follow from the result: 1e9 - 1e9 + 0.1 is small, and what it may vary by is not.
 */
import type { AggregateFeature } from '../model/feature.ts'
import { over, type AggregateSql } from './aggregate.ts'
import { classOf } from './columnType.ts'
import { conditionSql, type ColumnLookup } from './condition.ts'

const relativeTolerance = 1e-9

/** Names of features have no blanks. */
export const toleranceColumn = (feature: string) => `${feature} tolerance`

/** SQL of the tolerance; null for what is the same to the bit each time. */
export function toleranceSql(feature: AggregateFeature, column: ColumnLookup): AggregateSql | null {
  if (feature.column === null) return null
  const { sql, type } = column(feature.column)
  const where = feature.where === null ? [] : [conditionSql(feature.where, column)]
  const value = `CAST(${sql} AS DOUBLE)`
  const overTiles = (tile: string, of: (sum: string, count: string) => string): AggregateSql => ({
    over: 'tiles',
    type: 'float64',
    partials: [
      { tile: over(tile, where), merge: 'sum' },
      { tile: over(`count(${sql})`, where), merge: 'sum' },
    ],
    value: ([sum = 'NULL', count = 'NULL']) => `${relativeTolerance} * ${of(sum, `nullif(${count}, 0)`)}`,
  })
  switch (feature.aggregate) {
    case 'sum':
      return classOf(type) === 'integer' ? null : overTiles(`sum(abs(${value}))`, (sum) => sum)
    case 'mean':
      if (classOf(type) === 'integer') return null
      return overTiles(`sum(abs(${value}))`, (sum, count) => `${sum} / ${count}`)
    // Their sums are of squares of what lies around the mean, which is at most the square of the values.
    case 'variance':
      return overTiles(`sum(${value} * ${value})`, (sum, count) => `${sum} / ${count}`)
    case 'standardDeviation':
      return overTiles(`sum(${value} * ${value})`, (sum, count) => `sqrt(${sum} / ${count})`)
    default:
      return null
  }
}
