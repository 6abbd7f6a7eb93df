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
 * The text uses names of its own throughout (k0 keys, c0 columns, p0 partials, w0 windows, r0 reads), so that no name of a
 * definition can meet one of them.
 */
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { tableColumns, type BoundGroup } from '../model/bound.ts'
import { IntegrityError } from '../model/errors.ts'
import { aggregatesOf, windowsOf, type FeatureGroup } from '../model/group.ts'
import { alignDown, durationMs, parseInstant, type EpochMs, type IntervalRange } from '../model/time.ts'
import { windowMs } from '../model/window.ts'
import { aggregateSql } from './aggregate.ts'
import { arrivalViews, type ArrivalViews } from './arrivals.ts'
import { columnsOfGroup, lookupIn } from './bind.ts'
import type { EventRange } from './eventTime.ts'
import { frameSql, overEvents } from './eventWindows.ts'
import { planWindows, type WindowPlan } from './planWindows.ts'
import { withReads } from './sequences.ts'
import type { SourceRelation } from './source.ts'
import { selectWithConditions, sqlTextsOfGroup } from './sqlCondition.ts'
import { toleranceColumn, toleranceSql } from './tolerance.ts'

export interface CompiledGroup {
  /** Statements to run first: they make the tables that arrivals need, under the names of `scratchTables`. */
  readonly setUp: readonly string[]
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
  /** Begins the names of tables of this computation's own. */
  readonly scratch: string
  /** The created timestamp of all rows; without it each row's is when its interval was due. */
  readonly knownFrom?: EpochMs
  /** Adds the tolerances' columns (tolerance.ts). */
  readonly withTolerances?: boolean
}

/** Tables that a computation may leave behind. */
export const scratchTables = (scratch: string) =>
  ({
    eventsTable: quoteIdentifier(`${scratch} events`),
    disturbedTable: quoteIdentifier(`${scratch} disturbed`),
  }) as const

/** In milliseconds; `tile` divides all the others. */
interface Lengths {
  readonly cadence: number
  readonly largest: number
  readonly tile: number
}

const boundedWindows = (group: FeatureGroup) =>
  windowsOf(group)
    .map(({ over }) => windowMs(over))
    .filter(Number.isFinite)

/** The longest bounded window of a group, in milliseconds; its cadence where it has none. */
export function largestWindowMs(group: FeatureGroup): number {
  const windows = boundedWindows(group)
  return windows.length === 0 ? durationMs(group.every) : Math.max(...windows)
}

function lengthsOf(group: FeatureGroup): Lengths {
  const cadence = durationMs(group.every)
  const windows = boundedWindows(group)
  return { cadence, largest: largestWindowMs(group), tile: windows.reduce(greatestCommonDivisor, cadence) }
}

/** From when the group's unbounded windows count; null where it has none. */
function countsFrom(group: FeatureGroup, { source }: SourceRelation): number | null {
  if (!windowsOf(group).some(({ over }) => over === 'unbounded')) return null
  return parseInstant(source.completeFrom ?? '', `source ${source.name}: completeFrom`)
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** @throws InputError for a feature that does not fit the source. */
export function compileGroup(
  bound: BoundGroup,
  relation: SourceRelation,
  { range, runId, scratch, knownFrom, withTolerances = false }: CompileRequest,
): CompiledGroup {
  const { group } = bound
  const lengths = lengthsOf(group)
  const columns = columnsOfGroup(group, relation)
  const lookup = lookupIn(group, relation, columns)
  const features = bound.features.flatMap(({ name }) => {
    const feature = aggregatesOf(group)[name]
    if (feature === undefined)
      throw new IntegrityError(
        `feature group ${group.id} was bound with a feature ${name} that it does not have.`,
      )
    const over = windowMs(feature.over)
    const tolerance = withTolerances ? toleranceSql(feature, lookup) : null
    return [
      { name, windowMs: over, sql: aggregateSql(feature, lookup) },
      ...(tolerance === null ? [] : [{ name: toleranceColumn(name), windowMs: over, sql: tolerance }]),
    ]
  })
  const plan = planWindows(features, lengths.tile)
  const since = countsFrom(group, relation)
  // The last row of an entity that falls out at the first end looks back one cadence further than that end's windows.
  const events = { from: since ?? range.from - lengths.largest, to: range.to }
  const line = {
    ...lengths,
    isUnbounded: since !== null,
    origin: alignDown(events.from, lengths.cadence),
    range,
  }
  const selected = selectWithConditions(relation, columns, sqlTextsOfGroup(group), events)
  const isHistory = knownFrom === undefined
  const views = relation.arrival === null || !isHistory ? null : viewsOf(bound, selected, line, scratch)
  const compiled = { bound, plan, line, views, events: views?.events ?? selected }
  return {
    events,
    setUp: views?.setUp ?? [],
    tiles: tilesSql(compiled),
    rows: (tilesTable) => rowsSql(compiled, { runId, knownFrom }, tilesTable),
  }
}

/** The line of time of one computation. */
interface Line extends Lengths {
  /** Whether a window has no lower end: then no entity ever falls out. */
  readonly isUnbounded: boolean
  /** Where tiles count from. */
  readonly origin: number
  readonly range: IntervalRange
}

const firstEnd = ({ range, cadence, origin, tile }: Line) => (range.from + cadence - origin) / tile

const keyNames = ({ keys }: BoundGroup) => keys.map((_, index) => `k${index}`)

function viewsOf(bound: BoundGroup, events: string, line: Line, scratch: string): ArrivalViews {
  const { cadence, largest, origin, range, isUnbounded } = line
  return arrivalViews({
    ...{ events, cadence, origin, range, keys: keyNames(bound), ...scratchTables(scratch) },
    largest: isUnbounded ? null : largest,
    availableAfter: durationMs(bound.group.availableAfter),
  })
}

interface Compilation {
  readonly bound: BoundGroup
  readonly plan: WindowPlan
  readonly line: Line
  /** Null where the source names no arrival column. */
  readonly views: ArrivalViews | null
  /** SELECT of the events, in all views. */
  readonly events: string
}

/** What rows are of: an entity, and where arrivals count, a view of its events. */
const partitionKeys = ({ bound, views }: Compilation) => [
  ...keyNames(bound),
  ...(views === null ? [] : ['known_at']),
]

function tilesSql(compilation: Compilation): string {
  const { events, line, plan } = compilation
  const { largest, tile, origin, isUnbounded } = line
  const keys = partitionKeys(compilation)
  const since = `(event_us - ${origin * 1000})`
  const number = `${since} // ${tile * 1000}`
  // What only unbounded windows see is one tile, just before those that others see.
  const oldest = firstEnd(line) - largest / tile - 1
  const selected = [
    ...keys,
    `${isUnbounded ? `greatest(${number}, ${oldest})` : number} AS tile`,
    ...plan.partials.map((sql, index) => `${sql} AS p${index}`),
  ]
  return `SELECT ${selected.join(', ')}
FROM (${events})
${seenSql(line)}
GROUP BY ${[...keys, 'tile'].join(', ')}`
}

/** Where the cadence is longer than every window, events between the windows of neighbouring ends are seen by none. */
const seenSql = ({ cadence, largest, origin, isUnbounded }: Line) =>
  largest < cadence && !isUnbounded
    ? `WHERE (event_us - ${origin * 1000}) % ${cadence * 1000} >= ${(cadence - largest) * 1000}`
    : ''

/** What every row of a computation says of it. */
type Stamp = Pick<CompileRequest, 'runId' | 'knownFrom'>

function rowsSql(compilation: Compilation, stamp: Stamp, tilesTable: string): string {
  const { bound, plan, line, views, events } = compilation
  const keys = partitionKeys(compilation).join(', ')
  const known = views === null ? '' : ` AND ${views.isRow('framed', `(edge // ${line.cadence / line.tile})`)}`
  const called = plan.calls.length === 0 ? 'ends' : `(${callsSql(plan, keys, line, events)})`
  const seen = `SELECT * FROM (${events}) ${seenSql(line)}`
  const framed =
    plan.reads.length === 0 ? called : `(${withReads(plan.reads, called, partitionKeys(compilation), seen)})`
  return `WITH ${endsSql(plan, keys, line, tilesTable)}
SELECT ${resultColumns(bound, plan.values, line, stamp).join(', ')}
FROM ${framed} AS framed WHERE is_end${known}`
}

/** `ends`: a row for each entity and interval end, with the windows over tiles as w0, w1, … Other rows are no `is_end`. */
function endsSql(
  { partials, windows, widths }: WindowPlan,
  keys: string,
  line: Line,
  tilesTable: string,
): string {
  const names = partials.map((_, index) => `p${index}`)
  const [step, largest] = [line.cadence / line.tile, line.largest / line.tile]
  const [first, last] = [firstEnd(line), (line.range.to - line.origin) / line.tile]
  const until = [
    `coalesce(next_tile, ${last})`,
    ...(line.isUnbounded ? [] : [`tile + ${largest + step}`]),
    last,
  ]
  const ends = `range(greatest(((tile + 1) // ${step} + 1) * ${step}, ${first}), least(${until.join(', ')}) + 1, ${step})`
  const [tiles, nulls] = [names.map((name) => `, ${name}`).join(''), names.map(() => ', NULL').join('')]
  const frames = widths.map((width) => frameSql(width, keys, 'edge'))
  return `followed AS (
  SELECT *, lead(tile) OVER (PARTITION BY ${keys} ORDER BY tile) AS next_tile FROM ${tilesTable}
), line AS (
  SELECT ${keys}, tile + 1 AS edge, (tile + 1) % ${step} = 0 AND tile + 1 >= ${first} AS is_end${tiles} FROM ${tilesTable}
  UNION ALL
  SELECT ${keys}, unnest(${ends}), true${nulls} FROM followed
), ends AS (
  SELECT ${[keys, 'edge', 'is_end', ...windows.map((sql, index) => `${sql} AS w${index}`)].join(', ')}
  FROM line
  ${frames.length === 0 ? '' : `WINDOW ${frames.join(', ')}`}
)`
}

/** The ends with the windows over events beside those over tiles. */
function callsSql({ calls, callWidths }: WindowPlan, keys: string, { origin, tile }: Line, events: string) {
  const frames = callWidths.map((width) => frameSql(width, keys, 'until'))
  const endMicros = `${origin * 1000} + edge * ${tile * 1000}`
  const ends = '(SELECT * EXCLUDE is_end FROM ends WHERE is_end)'
  return overEvents({ calls, frames }, ends, endMicros, events)
}

/** A row of history is known from the moment at which a pipeline that had been right all along would have served it. */
function resultColumns(
  bound: BoundGroup,
  values: WindowPlan['values'],
  { tile, origin }: Line,
  { runId, knownFrom }: Stamp,
): string[] {
  const at = (ms: number) => `make_timestamptz(${ms * 1000} + edge * ${tile * 1000})`
  const sqlOf = new Map<string, string>([
    ...bound.keys.map(({ name }, index) => [name, `k${index}`] as const),
    ['event_timestamp', at(origin)],
    [
      'created_timestamp',
      knownFrom === undefined
        ? at(origin + durationMs(bound.group.availableAfter))
        : `make_timestamptz(${knownFrom * 1000})`,
    ],
    ['run_id', quoteLiteral(runId)],
    ...values.map(({ name, sql }) => [name, sql] as const),
  ])
  const tolerances = bound.features.map(({ name }) => toleranceColumn(name)).filter((name) => sqlOf.has(name))
  return [...tableColumns(bound).map(({ name }) => name), ...tolerances].map(
    (name) => `${sqlOf.get(name)} AS ${quoteIdentifier(name)}`,
  )
}
