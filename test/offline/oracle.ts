/**
 * What a group's rows must be, said as plainly as possible: for every entity and every interval end look at all events,
 * one by one. Uses nothing of the compiler.
 */
import type { AggregateFeature, Condition, Duration } from '../../model/index.ts'

export interface Event {
  readonly entity: string
  /** Microseconds since the epoch. */
  readonly at: number
  readonly values: Readonly<Record<string, number | string | null>>
}

export interface Expected {
  /** `null` for an empty window, except for counts. */
  readonly value: number | string | null
  /** How far from it a sum of fractions may be. */
  readonly tolerance: number
}

const units = { s: 1e6, m: 6e7, h: 36e8, d: 864e8, w: 6048e8 }
export const micros = (duration: Duration) =>
  Number(duration.slice(0, -1)) * units[duration.slice(-1) as keyof typeof units]

/** Rows by `entity end`, the end in microseconds, for the ends `from < end <= to`. */
export function expectedRows(
  events: readonly Event[],
  features: Readonly<Record<string, AggregateFeature>>,
  every: Duration,
  from: number,
  to: number,
): Map<string, Record<string, Expected>> {
  const rows = new Map<string, Record<string, Expected>>()
  const largest = Math.max(...Object.values(features).map(({ over }) => micros(over)))
  for (const entity of new Set(events.map((event) => event.entity))) {
    const own = events.filter((event) => event.entity === entity)
    const window = (end: number, length: number) => own.filter(({ at }) => at >= end - length && at < end)
    for (let end = from + micros(every); end <= to; end += micros(every)) {
      const isLive = window(end, largest).length > 0
      const fellOut = !isLive && window(end - micros(every), largest).length > 0
      if (!isLive && !fellOut) continue
      const row = Object.entries(features).map(([name, feature]) => {
        const seen = window(end, micros(feature.over))
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

function aggregated({ aggregate, column, condition }: AggregateFeature, events: readonly Event[]): Expected {
  const exactly = (value: number | string | null): Expected => ({ value, tolerance: 0 })
  if (aggregate === 'share') {
    const known = events.map((event) => holds(condition, event)).filter((met) => met !== null)
    return exactly(known.length === 0 ? null : known.filter(Boolean).length / known.length)
  }
  if (column === null) return exactly(events.length)
  const values = events.map((event) => event.values[column] ?? null).filter((value) => value !== null)
  if (aggregate === 'count') return exactly(values.length)
  if (values.length === 0) return exactly(null)
  const sorted = [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  if (aggregate === 'min') return exactly(sorted[0] ?? null)
  if (aggregate === 'max') return exactly(sorted.at(-1) ?? null)
  const numbers = values.map(Number)
  const sum = numbers.reduce((total, value) => total + value, 0)
  const divisor = aggregate === 'mean' ? numbers.length : 1
  const magnitude = numbers.reduce((total, value) => total + Math.abs(value), 0)
  return { value: sum / divisor, tolerance: (1e-9 * magnitude) / divisor }
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

function compares(op: 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le', one: number | string, other: number | string) {
  return {
    eq: one === other,
    ne: one !== other,
    gt: one > other,
    ge: one >= other,
    lt: one < other,
    le: one <= other,
  }[op]
}
