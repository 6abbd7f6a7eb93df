/**
 * Aggregate features as SQL, in one of three ways.
 *
 * *Over tiles*, where a window's value follows from its tiles': what is kept of each tile's events, how tiles merge, and
 * the value of merged tiles. *Over events*, where it does not (quantiles, distinct counts, the k greatest): aggregate
 * calls over the events of the window themselves. *Over sequences*, where it is some neighbouring events (the k first or
 * last): see sequences.ts.
 *
 * Sums of integers are exact, and fail the query where the result is no int64. Fractions are added up as float64. NaN is
 * DuckDB's: it makes every sum, mean and variance over it NaN, and is greater than any number where values have an order,
 * in which -0 is 0.
 */
import type { AggregateFeature, FeatureType } from '../model/feature.ts'
import { InputError } from '../model/errors.ts'
import { classOf, duckdbTypes, featureTypeOf, fitsInt32, isNumeric, scalarTypeOf } from './columnType.ts'
import { conditionSql, type ColumnLookup, type ColumnSql } from './condition.ts'
import { eventAggregate, orderedValue } from './eventAggregate.ts'

export interface Partial {
  /** Aggregate over a tile's events. */
  readonly tile: string
  readonly merge: 'sum' | 'min' | 'max'
}

export interface TileAggregate {
  readonly over: 'tiles'
  readonly type: FeatureType
  readonly partials: readonly Partial[]
  /** The value, from the merged partials in their order; each is null where the window is empty. */
  value(merged: readonly string[]): string
}

export interface EventAggregate {
  readonly over: 'events'
  readonly type: FeatureType
  /** Aggregate calls over a window's events. */
  readonly calls: readonly string[]
  /** The value, from the results of the calls in their order. */
  value(results: readonly string[]): string
}

export interface SequenceAggregate {
  readonly over: 'sequences'
  readonly type: FeatureType
  /** SQL of what an event gives, which also orders events of one time. */
  readonly value: string
  /** Which events count, at least one condition. */
  readonly conditions: readonly string[]
  readonly k: number
  readonly side: 'first' | 'last'
}

export type AggregateSql = TileAggregate | EventAggregate | SequenceAggregate

/** What DuckDB's binder has to accept. */
export function callsOf(sql: AggregateSql): readonly string[] {
  switch (sql.over) {
    case 'tiles':
      return sql.partials.map(({ tile }) => tile)
    case 'events':
      return sql.calls
    case 'sequences':
      return [over(`list(${sql.value})`, sql.conditions)]
  }
}

/** @throws InputError, without the feature's name, for a column that does not fit. */
export function aggregateSql(feature: AggregateFeature, column: ColumnLookup): AggregateSql {
  const where = feature.where === null ? [] : [conditionSql(feature.where, column)]
  const aggregated = feature.column === null ? null : column(feature.column)
  switch (feature.aggregate) {
    case 'count':
      return counted(over(`count(${aggregated?.sql ?? '*'})`, where))
    case 'sum':
      return summed(numeric(feature, aggregated), where)
    case 'mean':
      return averaged(numeric(feature, aggregated), where)
    case 'min':
    case 'max':
      return extreme(feature.aggregate, feature.column, aggregated, where)
    case 'share':
      return shared(feature.condition === null ? '(true)' : conditionSql(feature.condition, column), where)
    case 'histogram':
      return bucketed(numeric(feature, aggregated), feature.edges ?? [], where)
    case 'first':
    case 'last':
      return outermost(feature, aggregated, where)
    case 'variance':
    case 'standardDeviation':
    case 'quantile':
      return eventAggregate(feature, numeric(feature, aggregated), where)
    default:
      return eventAggregate(feature, aggregated, where)
  }
}

/** An aggregate call over the events that meet the conditions. */
export const over = (call: string, conditions: readonly string[]) =>
  conditions.length === 0 ? call : `${call} FILTER (WHERE ${conditions.join(' AND ')})`

const counted = (tile: string): TileAggregate => ({
  over: 'tiles',
  type: 'int64',
  partials: [{ tile, merge: 'sum' }],
  value: ([count]) => `CAST(coalesce(${count}, 0) AS BIGINT)`,
})

/** DuckDB sums integers as 128 bits. A tile's sum of int32 values cannot leave int64, which is merged faster. */
function sumOf({ sql, type }: ColumnSql, where: readonly string[]): string {
  if (classOf(type) !== 'integer') return over(`sum(CAST(${sql} AS DOUBLE))`, where)
  const sum = over(`sum(${sql})`, where)
  return fitsInt32(type) ? `CAST(${sum} AS BIGINT)` : sum
}

function summed(column: ColumnSql, where: readonly string[]): TileAggregate {
  const type = classOf(column.type) === 'integer' ? 'int64' : 'float64'
  return {
    over: 'tiles',
    type,
    partials: [{ tile: sumOf(column, where), merge: 'sum' }],
    value: ([sum]) => `CAST(${sum} AS ${duckdbTypes[type]})`,
  }
}

const averaged = (column: ColumnSql, where: readonly string[]): TileAggregate => ({
  over: 'tiles',
  type: 'float64',
  partials: [
    { tile: sumOf(column, where), merge: 'sum' },
    { tile: over(`count(${column.sql})`, where), merge: 'sum' },
  ],
  value: ([sum, count]) => `CAST(${sum} AS DOUBLE) / CAST(nullif(${count}, 0) AS DOUBLE)`,
})

const shared = (condition: string, where: readonly string[]): TileAggregate => ({
  over: 'tiles',
  type: 'float64',
  partials: [
    { tile: over('count(*)', [...where, condition]), merge: 'sum' },
    { tile: over('count(*)', [...where, `(${condition} IS NOT NULL)`]), merge: 'sum' },
  ],
  value: ([met, known]) => `CAST(${met} AS DOUBLE) / CAST(nullif(${known}, 0) AS DOUBLE)`,
})

function extreme(
  merge: 'min' | 'max',
  name: string | null,
  column: ColumnSql | null,
  where: readonly string[],
): TileAggregate {
  const type = column === null ? null : scalarTypeOf(column.type)
  if (column === null || type === null) {
    throw new InputError(
      `${merge} of column ${name}: a column of type ${column?.type} has no smallest or greatest value that a feature can hold. Use a number, text, boolean or instant.`,
      { column: name },
    )
  }
  return {
    over: 'tiles',
    type,
    partials: [{ tile: over(`${merge}(${column.sql})`, where), merge }],
    value: ([value]) => `CAST(${value} AS ${duckdbTypes[type]})`,
  }
}

/** NaN is at least every edge and below none, so no bucket has it. */
function bucketed({ sql }: ColumnSql, edges: readonly number[], where: readonly string[]): TileAggregate {
  const edge = (index: number) => `CAST('${edges[index]}' AS DOUBLE)`
  const value = `CAST(${sql} AS DOUBLE)`
  const partials = edges.slice(1).map((_, index): Partial => {
    const below = index + 2 === edges.length ? '<=' : '<'
    const within = [`${value} >= ${edge(index)}`, `${value} ${below} ${edge(index + 1)}`]
    return { tile: over('count(*)', [...where, ...within]), merge: 'sum' }
  })
  return {
    over: 'tiles',
    type: 'list<int64>',
    partials,
    value: (counts) => `[${counts.map((count) => `CAST(coalesce(${count}, 0) AS BIGINT)`).join(', ')}]`,
  }
}

/** The event with the least or greatest (time, value): what follows in the row makes no difference any more. */
function outermost(
  { aggregate, column: name }: AggregateFeature,
  column: ColumnSql | null,
  where: readonly string[],
): TileAggregate {
  const type = column === null ? null : featureTypeOf(column.type)
  if (column === null || type === null) {
    throw new InputError(
      `${aggregate} of column ${name}: no feature can hold values of type ${column?.type}. Use a number, text, boolean, instant, or a list of them.`,
      { column: name },
    )
  }
  const merge = aggregate === 'first' ? 'min' : 'max'
  const value = orderedValue(column.sql, type)
  const tile = over(`${merge}(struct_pack(t := event_us, v := ${value}))`, [
    ...where,
    `${column.sql} IS NOT NULL`,
  ])
  return {
    over: 'tiles',
    type,
    partials: [{ tile, merge }],
    value: ([event]) => `struct_extract(${event}, 'v')`,
  }
}

function numeric({ aggregate, column: name }: AggregateFeature, column: ColumnSql | null): ColumnSql {
  if (column !== null && isNumeric(column.type)) return column
  throw new InputError(
    `${aggregate} of column ${name}: the column is ${column?.type}, not a number${column?.type === 'NULL' ? ': none of its values is there yet, so its type cannot be told' : ''}. Use a column of numbers, or count.`,
    { column: name },
  )
}
