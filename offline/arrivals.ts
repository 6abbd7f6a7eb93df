/**
 * Events that arrive late: a row of history sees only what had arrived when it was due (rule 6).
 *
 * An event is seen by the interval ends `n` from `natural_end`, the first behind its time, to `last_end`, the last whose
 * largest window holds it; known it is only from `first_end`, the first that was due when it had arrived. Mostly the
 * first and the third are the same and nothing is special. An end in between is *disturbed*, and so is the one behind it,
 * whose last row depends on what that saw. A disturbed end of an entity is computed in a view of its own, a copy of what
 * was known then: `known_at` is one more key, 0 for everybody's, n for that of end n. So the windows need not know of
 * arrivals, and what costs is only what was late. Where everything is late, every end costs a window: such a source wants
 * a group with a longer `availableAfter`, which it needs to be right anyway.
 *
 * Ends are numbered in cadence steps since an origin that is on the cadence and before all events.
 */
import type { EpochMs } from '../model/time.ts'

export interface ArrivalRequest {
  /** SELECT of the events: keys, `event_us`, `arrival_us` and more. */
  readonly events: string
  readonly keys: readonly string[]
  /** In milliseconds, as is `availableAfter`; null for an unbounded window. */
  readonly largest: number | null
  readonly cadence: number
  readonly availableAfter: number
  readonly origin: EpochMs
  /** The computed ends `from < e <= to`. */
  readonly range: { readonly from: EpochMs; readonly to: EpochMs }
  /** Names of two tables that `setUp` makes, quoted. */
  readonly eventsTable: string
  readonly disturbedTable: string
}

export interface ArrivalViews {
  /** Statements that make the two tables, in order. */
  readonly setUp: readonly string[]
  /** SELECT of the events of all views, with `known_at`. */
  readonly events: string
  /** SQL condition on rows of a relation that has the keys and `known_at`: each is its entity's row of the end. */
  isRow(relation: string, endNumber: string): string
}

export function arrivalViews(request: ArrivalRequest): ArrivalViews {
  const { keys, cadence, origin, range, eventsTable, disturbedTable } = request
  const names = keys.join(', ')
  const [first, last] = [(range.from - origin) / cadence + 1, (range.to - origin) / cadence]
  const same = (one: string, other: string) =>
    keys.map((key) => `${one}.${key} = ${other}.${key}`).join(' AND ')
  const ends = `range(greatest(natural_end, ${first}), least(first_end, last_end + 1, ${last}) + 1)`
  return {
    setUp: [
      `CREATE TEMP TABLE ${eventsTable} AS ${numbered(request, last)}`,
      `CREATE TEMP TABLE ${disturbedTable} AS SELECT DISTINCT ${names}, unnest(${ends}) AS n FROM ${eventsTable} WHERE first_end > natural_end`,
    ],
    events: `SELECT *, 0 AS known_at FROM ${eventsTable}
UNION ALL
SELECT seen.*, n AS known_at FROM ${disturbedTable} AS at_end JOIN ${eventsTable} AS seen ON ${same('at_end', 'seen')}
WHERE natural_end <= n AND (last_end >= n AND first_end <= n OR last_end = n - 1 AND first_end < n)`,
    isRow: (relation, endNumber) =>
      `(known_at = ${endNumber} OR known_at = 0 AND NOT EXISTS (SELECT 1 FROM ${disturbedTable} AS at_end WHERE ${same('at_end', relation)} AND at_end.n = ${endNumber}))`,
  }
}

function numbered(
  { events, largest, cadence, availableAfter, origin }: ArrivalRequest,
  last: number,
): string {
  const micros = (ms: number) => ms * 1000
  const since = (column: string, back = 0) => `(${column} - ${micros(origin + back)})`
  const natural = `${since('event_us')} // ${micros(cadence)} + 1`
  const arrived = `(greatest(${since('arrival_us', availableAfter)}, 0) + ${micros(cadence) - 1}) // ${micros(cadence)}`
  const lastEnd = largest === null ? String(last) : `${since('event_us', -largest)} // ${micros(cadence)}`
  return `SELECT *, ${natural} AS natural_end, greatest(${natural}, ${arrived}) AS first_end, ${lastEnd} AS last_end FROM (${events})`
}
