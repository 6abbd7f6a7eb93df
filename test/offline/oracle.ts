/**
 * What a group's rows must be, said as plainly as possible: for every entity and every interval end look at all events,
 * one by one. Uses nothing of the compiler.
 */
import type { AggregateFeature, Condition, Duration, Window } from '../../model/index.ts'
import { meets } from './sqlTwins.ts'

export interface Event {
  readonly entity: string
  /** Microseconds since the epoch. */
  readonly at: number
  /** Where the source says it: when the event came in, in microseconds. */
  readonly arrived?: number
  readonly values: Readonly<Record<string, Value | null>>
}

export type Value = number | string

export interface Expected {
  /** `null` for an empty window, except for counts. */
  readonly value: Value | readonly Value[] | null
  /** How far from it a sum of fractions may be. */
  readonly tolerance: number
}

const units = { s: 1e6, m: 6e7, h: 36e8, d: 864e8, w: 6048e8 }
export const micros = (duration: Duration) =>
  Number(duration.slice(0, -1)) * units[duration.slice(-1) as keyof typeof units]
const lengthOf = (over: Window) => (over === 'unbounded' ? Infinity : micros(over))

/** Rows by `entity end`, the end in microseconds, for the ends `from < end <= to`. */
export function expectedRows(
  events: readonly Event[],
  features: Readonly<Record<string, AggregateFeature>>,
  every: Duration,
  from: number,
  to: number,
  /** Unbounded windows count from here, and a group that has one sees nothing before. */
  completeFrom = -Infinity,
  /** An interval is due so many microseconds after its end, and sees only what had arrived by then. */
  availableAfter = 0,
): Map<string, Record<string, Expected>> {
  const rows = new Map<string, Record<string, Expected>>()
  const largest = Math.max(...Object.values(features).map(({ over }) => lengthOf(over)))
  const seesFrom = largest === Infinity ? completeFrom : -Infinity
  for (const entity of new Set(events.map((event) => event.entity))) {
    const own = events.filter((event) => event.entity === entity && event.at >= seesFrom)
    const window = (end: number, length: number) =>
      own.filter(({ at, arrived = at }) => at >= end - length && at < end && arrived <= end + availableAfter)
    for (let end = from + micros(every); end <= to; end += micros(every)) {
      const isLive = window(end, largest).length > 0
      const fellOut = !isLive && window(end - micros(every), largest).length > 0
      if (!isLive && !fellOut) continue
      const row = Object.entries(features).map(([name, feature]) => {
        const seen = window(end, lengthOf(feature.over))
        return [
          name,
          aggregated(
            feature,
            feature.where === null ? seen : seen.filter((event) => holds(feature.where, event) === true),
          ),
        ]
      })
      rows.set(`${entity} ${end}`, Object.fromEntries(row) as Record<string, Expected>)
    }
  }
  return rows
}

function aggregated(feature: AggregateFeature, events: readonly Event[]): Expected {
  const { aggregate, column, condition, k = 0, edges = [] } = feature
  const exactly = (value: Expected['value']): Expected => ({ value, tolerance: 0 })
  if (aggregate === 'share') {
    const known = events.map((event) => holds(condition, event)).filter((met) => met !== null)
    return exactly(known.length === 0 ? null : known.filter(Boolean).length / known.length)
  }
  if (column === null) return exactly(events.length)
  const inTime = events
    .map(({ at, values }) => ({ at, value: values[column] ?? null }))
    .filter((event): event is { at: number; value: Value } => event.value !== null)
    .sort((a, b) => a.at - b.at || compare(a.value, b.value))
    .map(({ value }) => value)
  const sorted = [...inTime].sort(compare)
  const counted = (low: number, high: number, isLast: boolean) =>
    sorted.filter((value) => Number(value) >= low && (isLast ? Number(value) <= high : Number(value) < high))
      .length
  if (aggregate === 'count') return exactly(sorted.length)
  if (aggregate === 'distinctCount') return exactly(new Set(sorted).size)
  // HyperLogLog of 64 registers: two values may share one.
  if (aggregate === 'approxDistinctCount') {
    const { size } = new Set(sorted)
    return { value: size, tolerance: size < 2 ? 0 : 1 + size / 3 }
  }
  if (aggregate === 'histogram') {
    const last = edges.length - 2
    return exactly(edges.slice(1).map((edge, at) => counted(edges[at] ?? 0, edge, at === last)))
  }
  if (sorted.length === 0) return exactly(null)
  switch (aggregate) {
    case 'min':
      return exactly(sorted[0] ?? null)
    case 'max':
      return exactly(sorted.at(-1) ?? null)
    case 'first':
      return exactly(inTime[0] ?? null)
    case 'last':
      return exactly(inTime.at(-1) ?? null)
    case 'topK':
      return exactly(sorted.reverse().slice(0, k))
    case 'bottomK':
      return exactly(sorted.slice(0, k))
    case 'firstK':
      return exactly(inTime.slice(0, k))
    case 'lastK':
      return exactly(inTime.reverse().slice(0, k))
    default:
      return calculated(feature, sorted.map(Number))
  }
}

/** Results that are rounded; `numbers` ascend. */
function calculated({ aggregate, q = 0 }: AggregateFeature, numbers: readonly number[]): Expected {
  const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)
  if (aggregate === 'quantile') {
    const at = q * (numbers.length - 1)
    const [low = 0, high = 0] = [numbers[Math.floor(at)], numbers[Math.ceil(at)]]
    const value = Number.isInteger(at) ? low : low + (high - low) * (at - Math.floor(at))
    return { value, tolerance: 1e-12 * Math.max(Math.abs(low), Math.abs(high)) }
  }
  const divisor = aggregate === 'sum' ? 1 : numbers.length
  const mean = total(numbers) / divisor
  if (aggregate === 'sum' || aggregate === 'mean') {
    return { value: mean, tolerance: (1e-9 * total(numbers.map(Math.abs))) / divisor }
  }
  if (numbers.some(Number.isNaN)) return { value: NaN, tolerance: 0 }
  if (numbers.length < 2) return { value: null, tolerance: 0 }
  const variance = total(numbers.map((value) => (value - mean) ** 2)) / (numbers.length - 1)
  const tolerance = (1e-9 * total(numbers.map((value) => value ** 2))) / (numbers.length - 1)
  if (aggregate === 'variance') return { value: variance, tolerance }
  // The roots of two numbers are no further apart than the root of their difference.
  return { value: Math.sqrt(variance), tolerance: Math.sqrt(tolerance) }
}

/** DuckDB's order: NaN is equal to itself and greater than any number. */
export function compare(one: Value, other: Value): number {
  if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other))
  return one < other ? -1 : one > other ? 1 : 0
}

/** SQL's three-valued logic: null is unknown. */
export function holds(condition: Condition | null, event: Event): boolean | null {
  if (condition === null) return true
  switch (condition.op) {
    case 'and':
    case 'or': {
      const decisive = condition.op === 'or'
      const parts = condition.conditions.map((part) => holds(part, event))
      return parts.includes(decisive) ? decisive : parts.includes(null) ? null : !decisive
    }
    case 'not': {
      const met = holds(condition.condition, event)
      return met === null ? null : !met
    }
    case 'sql':
      return meets(condition.sql, event.values)
  }
  const value = event.values[condition.column] ?? null
  switch (condition.op) {
    case 'is_null':
      return value === null
    case 'is_not_null':
      return value !== null
    case 'in':
      if (condition.values.length === 0) return false
      return value === null ? null : condition.values.includes(value)
    default:
      return value === null ? null : compares(condition.op, value, condition.value as number | string)
  }
}

function compares(op: 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le', one: Value, other: Value) {
  const order = compare(one, other)
  return { eq: order === 0, ne: order !== 0, gt: order > 0, ge: order >= 0, lt: order < 0, le: order <= 0 }[
    op
  ]
}
