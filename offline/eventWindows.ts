/**
 * Windows over events themselves, for aggregates that tiles cannot carry.
 *
 * The rows that tiles made, one per entity and interval end, are laid on one line of time with the events, by entity; each
 * end sees the events of its frame. An end at t stands at t, an event at one microsecond after its own time: so a frame of
 * w microseconds that ends at t, both ends included, holds exactly the events of `t - w <= event time < t`.
 */

export interface EventWindows {
  /** SQL of each distinct call over a window: v0, v1, … */
  readonly calls: readonly string[]
  /** SQL of each distinct frame. */
  readonly frames: readonly string[]
}

/** How a window's frame is called in SQL; null is an unbounded one. */
export const frameName = (width: number | null) => `last_${width ?? 'all'}`

/** A frame of so many steps of the line, up to and with the current row. */
export function frameSql(width: number | null, keys: string, order: string): string {
  const from = width === null ? 'UNBOUNDED' : String(width - 1)
  return `${frameName(width)} AS (PARTITION BY ${keys} ORDER BY ${order} RANGE BETWEEN ${from} PRECEDING AND CURRENT ROW)`
}

/**
 * SELECT of the ends with v0, v1, … beside what they have already.
 *
 * @param ends a relation of k0, k1, … and more columns; `endMicros` is SQL of an end's instant in it
 * @param events SELECT of the events
 */
export function overEvents(
  { calls, frames }: EventWindows,
  ends: string,
  endMicros: string,
  events: string,
): string {
  const values = calls.map((call, index) => `${call} AS v${index}`)
  return `SELECT *, ${values.join(', ')}
FROM (
  SELECT *, ${endMicros} AS until, true AS is_end FROM ${ends}
  UNION ALL BY NAME
  SELECT *, event_us + 1 AS until, false AS is_end FROM (${events})
)
WINDOW ${frames.join(', ')}`
}
