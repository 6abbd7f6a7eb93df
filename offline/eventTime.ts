/**
 * How a source's timestamp column becomes an instant (rule 1).
 *
 * A column with a zone is an instant already. One without needs the source to name its zone. Text is looked at value by
 * value, because DuckDB's own readers would take a naive time for UTC as soon as its neighbour carries a zone.
 */
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { Source } from '../model/source.ts'
import { formatInstant, type EpochMs } from '../model/time.ts'

/** Events `from <= event time < to`. */
export interface EventRange {
  readonly from: EpochMs
  readonly to: EpochMs
}

export interface EventTime {
  /** SQL of the instant in whole microseconds since the epoch; text that is no instant fails the query. */
  readonly micros: string
  /** The same as TIMESTAMPTZ. */
  readonly instant: string
  /** SQL condition on the stored column that holds for every event of the range, and for few others. */
  mayLieIn(range: EventRange): string
  /** Whether the column is text, any value of which may turn out not to be a time. */
  readonly isText: boolean
  /** SQL condition on the stored column, null for a null: it is an instant. */
  readonly isInstant: string
  /** SQL condition on the stored column: it is a time without a zone, and the source names none. */
  readonly lacksZone: string
}

const naiveTypes = ['TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS', 'DATE']
const naiveText = String.raw`\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?`
const zonedText = String.raw`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)`
/** Local times are at most this far from UTC, the oldest local mean times included. */
const farthestZoneMs = 24 * 36e5

/** @throws InputError where a column of this type says no instant. */
export function eventTime(source: Source, type: string): EventTime {
  const column = quoteIdentifier(source.timestamp)
  if (type === 'TIMESTAMP WITH TIME ZONE') return zonedTime(column)
  if (type === 'VARCHAR') return textTime(column, source.timeZone)
  if (!naiveTypes.includes(type)) {
    throw new InputError(
      `source ${source.name}: column ${source.timestamp} is ${type}, which is not a time. Name the column with the time of the event.`,
      { source: source.name, column: source.timestamp, type },
    )
  }
  if (source.timeZone === undefined) throw missingZone(source, `is ${type}`)
  return naiveTime(column, type, source.timeZone)
}

export function missingZone(source: Source, what: string): InputError {
  return new InputError(
    `source ${source.name}: column ${source.timestamp} ${what}, without a time zone, and the source names none. Say which zone its times are in: timeZone: 'UTC', or an IANA name such as 'America/New_York'.`,
    { source: source.name, column: source.timestamp },
  )
}

const naive = (ms: EpochMs) => `TIMESTAMP '${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')}'`
const zoned = (ms: EpochMs) => `make_timestamptz(${ms * 1000})`

function zonedTime(column: string): EventTime {
  return {
    micros: `epoch_us(${column})`,
    instant: column,
    mayLieIn: ({ from, to }) => `${column} >= ${zoned(from)} AND ${column} < ${zoned(to)}`,
    isText: false,
    isInstant: `${column} IS NOT NULL`,
    lacksZone: 'false',
  }
}

/** UTC needs no conversion, which would cost more than all the rest of reading. */
function naiveTime(column: string, type: string, zone: string): EventTime {
  const local = type === 'TIMESTAMP' ? column : `CAST(${column} AS TIMESTAMP)`
  const isUtc = zone === 'UTC'
  const slack = isUtc && type !== 'DATE' ? 0 : farthestZoneMs
  const instant = isUtc
    ? `make_timestamptz(epoch_us(${local}))`
    : `(${local} AT TIME ZONE ${quoteLiteral(zone)})`
  return {
    micros: isUtc ? `epoch_us(${local})` : `epoch_us(${instant})`,
    instant,
    mayLieIn: ({ from, to }) =>
      `${column} >= CAST(${naive(from - slack)} AS ${type}) AND ${column} < CAST(${naive(to + slack)} AS ${type})`,
    isText: false,
    isInstant: `${column} IS NOT NULL`,
    lacksZone: 'false',
  }
}

function textTime(column: string, zone: string | undefined): EventTime {
  // DuckDB wants seconds before a zone.
  const withSeconds = `regexp_replace(${column}, '^(.{16})([^:])', '\\1:00\\2')`
  const isZoned = `regexp_full_match(${column}, ${quoteLiteral(zonedText)})`
  const isNaive = `regexp_full_match(${column}, ${quoteLiteral(naiveText)})`
  const local =
    zone === undefined
      ? []
      : [`WHEN ${isNaive} THEN CAST(${column} AS TIMESTAMP) AT TIME ZONE ${quoteLiteral(zone)}`]
  const instant = `(CASE WHEN ${isZoned} THEN CAST(${withSeconds} AS TIMESTAMPTZ) ${local.join('')} ELSE error('not an instant: ' || coalesce(${column}, 'null')) END)`
  const isInstant = `(${isZoned} AND TRY_CAST(${withSeconds} AS TIMESTAMPTZ) IS NOT NULL)`
  const isLocal = `(${isNaive} AND TRY_CAST(${column} AS TIMESTAMP) IS NOT NULL)`
  return {
    micros: `epoch_us(${instant})`,
    instant,
    mayLieIn: () => 'true',
    isText: true,
    isInstant: zone === undefined ? isInstant : `(${isInstant} OR ${isLocal})`,
    lacksZone: zone === undefined ? isLocal : 'false',
  }
}

/** `2001-01-01T00:00:00Z to 2001-02-01T00:00:00Z`, for errors. */
export const describeRange = ({ from, to }: EventRange) => `${formatInstant(from)} to ${formatInstant(to)}`
