/**
 * Compiles an aggregate group to SQL over tiles (rules 2, 3 and 6).
 *
 * A tile is a stretch of time of `gcd(cadence, windows)`, so that every edge of every window lies between two tiles. One
 * pass over the events makes a row per entity and tile (`tiles`); a second query merges tiles into windows (`rows`).
 * Inside SQL, time is a number of tiles since `origin`: tile k is the time from k to k + 1, and an interval that ends at
 * e sees the tiles e - window … e - 1.
 *
 * Which rows there are: between one tile k of an entity and its next, every end e sees k as its latest tile. It is live
 * while e - k <= largest window, and one cadence later it gets its last row, of empty windows. So each tile brings the
 * ends up to k + largest window + cadence or the next tile, whichever comes first, and each row is made exactly once.
 *
 * Windows are RANGE frames over tiles and ends together. Nothing is ever subtracted: a difference of running sums would
 * round, and would keep a NaN for ever.
 *
 * The text uses names of its own throughout (k0 keys, c0 columns, p0 partials, w0 windows), so that no name of a
 * definition can meet one of them.
 */
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { tableColumns, type BoundGroup } from '../model/bound.ts'
import { IntegrityError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import { alignDown, durationMs, type IntervalRange } from '../model/time.ts'
import { aggregateSql, type AggregateSql } from './aggregate.ts'
import { columnsOfGroup, lookupIn } from './bind.ts'
import type { EventRange } from './eventTime.ts'
import { selectEvents, type SourceRelation } from './source.ts'

export interface CompiledGroup {
  /** Events that the rows need. */
  readonly events: EventRange
  /** SELECT of the tiles: k0, k1, …, tile, p0, p1, … A null key is a tile like any other; look for it. */
  readonly tiles: string
  /** SELECT of the rows over a table of tiles, with the columns of `tableColumns` in their order. */
  rows(tilesTable: string): string
}

export interface CompileRequest {
  /** The interval ends `from < e <= to`, both on the cadence. */
  readonly range: IntervalRange
  readonly runId: string
}

/** In milliseconds; `tile` divides all the others. */
interface Lengths {
  readonly cadence: number
  readonly largest: number
  readonly tile: number
}

/** The longest window of a group, in milliseconds. */
export function largestWindowMs(group: FeatureGroup): number {
  return Math.max(...Object.values(group.features).map(({ over }) => durationMs(over)))
}

function lengthsOf(group: FeatureGroup): Lengths {
  const cadence = durationMs(group.every)
  const windows = Object.values(group.features).map(({ over }) => durationMs(over))
  return { cadence, largest: largestWindowMs(group), tile: windows.reduce(greatestCommonDivisor, cadence) }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** @throws InputError for a feature that does not fit the source. */
export function compileGroup(
  bound: BoundGroup,
  relation: SourceRelation,
  { range, runId }: CompileRequest,
): CompiledGroup {
  const { group } = bound
  const lengths = lengthsOf(group)
  const columns = columnsOfGroup(group)
  const features = bound.features.map(({ name }) => {
    const feature = group.features[name]
    if (feature === undefined)
      throw new IntegrityError(
        `feature group ${group.id} was bound with a feature ${name} that it does not have.`,
      )
    return {
      name,
      width: durationMs(feature.over) / lengths.tile,
      sql: aggregateSql(feature, lookupIn(group, relation, columns)),
    }
  })
  const plan = planWindows(features)
  // The last row of an entity that falls out at the first end looks back one cadence further than that end's windows.
  const events = { from: range.from - lengths.largest, to: range.to }
  const origin = alignDown(events.from, lengths.cadence)
  return {
    events,
    tiles: tilesSql(bound, selectEvents(relation, columns, events), plan, lengths, origin),
    rows: (tilesTable) => rowsSql(bound, plan, lengths, { range, runId, origin, tilesTable }),
  }
}

interface FeaturePlan {
  readonly name: string
  /** In tiles. */
  readonly width: number
  readonly sql: AggregateSql
}

interface WindowPlan {
  /** SQL of each distinct partial: p0, p1, … */
  readonly partials: readonly string[]
  /** SQL of each distinct window over a partial: w0, w1, … */
  readonly windows: readonly string[]
  readonly widths: readonly number[]
  /** By feature, in order. */
  readonly values: readonly { name: string; sql: string }[]
}

/** Partials and windows that several features share are computed once. */
function planWindows(features: readonly FeaturePlan[]): WindowPlan {
  const [partials, windows, widths] = [
    new Map<string, string>(),
    new Map<string, string>(),
    new Set<number>(),
  ]
  const named = (names: Map<string, string>, prefix: string, sql: string) => {
    const name = names.get(sql) ?? `${prefix}${names.size}`
    names.set(sql, name)
    return name
  }
  const values = features.map(({ name, width, sql }) => {
    widths.add(width)
    const merged = sql.partials.map(({ tile, merge }) =>
      named(windows, 'w', `${merge}(${named(partials, 'p', tile)}) OVER last_${width}`),
    )
    return { name, sql: sql.value(merged) }
  })
  return { partials: [...partials.keys()], windows: [...windows.keys()], widths: [...widths], values }
}

const keyNames = ({ keys }: BoundGroup) => keys.map((_, index) => `k${index}`)

function tilesSql(
  bound: BoundGroup,
  events: string,
  { partials }: WindowPlan,
  { cadence, largest, tile }: Lengths,
  origin: number,
): string {
  const keys = keyNames(bound)
  const since = `(event_us - ${origin * 1000})`
  const selected = [
    ...keys,
    `${since} // ${tile * 1000} AS tile`,
    ...partials.map((sql, index) => `${sql} AS p${index}`),
  ]
  // Where the cadence is longer than every window, events between the windows of neighbouring ends are seen by none.
  const seen = largest < cadence ? `WHERE ${since} % ${cadence * 1000} >= ${(cadence - largest) * 1000}` : ''
  return `SELECT ${selected.join(', ')}
FROM (${events})
${seen}
GROUP BY ${[...keys, 'tile'].join(', ')}`
}

function rowsSql(
  bound: BoundGroup,
  { partials, windows, widths, values }: WindowPlan,
  lengths: Lengths,
  { range, runId, origin, tilesTable }: CompileRequest & { origin: number; tilesTable: string },
): string {
  const keys = keyNames(bound).join(', ')
  const names = partials.map((_, index) => `p${index}`)
  const [step, largest] = [lengths.cadence / lengths.tile, lengths.largest / lengths.tile]
  const first = (range.from + lengths.cadence - origin) / lengths.tile
  const last = (range.to - origin) / lengths.tile
  const ends = `range(greatest(((tile + 1) // ${step} + 1) * ${step}, ${first}), least(coalesce(next_tile, ${last}), tile + ${largest + step}, ${last}) + 1, ${step})`
  const frames = widths.map(
    (width) =>
      `last_${width} AS (PARTITION BY ${keys} ORDER BY edge RANGE BETWEEN ${width - 1} PRECEDING AND CURRENT ROW)`,
  )
  return `WITH followed AS (
  SELECT *, lead(tile) OVER (PARTITION BY ${keys} ORDER BY tile) AS next_tile FROM ${tilesTable}
), line AS (
  SELECT ${keys}, tile + 1 AS edge, (tile + 1) % ${step} = 0 AND tile + 1 >= ${first} AS is_end, ${names.join(', ')} FROM ${tilesTable}
  UNION ALL
  SELECT ${keys}, unnest(${ends}), true, ${names.map(() => 'NULL').join(', ')} FROM followed
), windowed AS (
  SELECT ${keys}, edge, is_end, ${windows.map((sql, index) => `${sql} AS w${index}`).join(', ')}
  FROM line
  WINDOW ${frames.join(', ')}
)
SELECT ${resultColumns(bound, values, lengths, { runId, origin }).join(', ')}
FROM windowed WHERE is_end`
}

/** A row of history is known from the moment at which a pipeline that had been right all along would have served it. */
function resultColumns(
  bound: BoundGroup,
  values: WindowPlan['values'],
  { tile }: Lengths,
  { runId, origin }: { runId: string; origin: number },
): string[] {
  const at = (ms: number) => `make_timestamptz(${ms * 1000} + edge * ${tile * 1000})`
  const sqlOf = new Map<string, string>([
    ...bound.keys.map(({ name }, index) => [name, `k${index}`] as const),
    ['event_timestamp', at(origin)],
    ['created_timestamp', at(origin + durationMs(bound.group.availableAfter))],
    ['run_id', quoteLiteral(runId)],
    ...values.map(({ name, sql }) => [name, sql] as const),
  ])
  return tableColumns(bound).map(({ name }) => `${sqlOf.get(name)} AS ${quoteIdentifier(name)}`)
}
