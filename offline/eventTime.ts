/**
 * How a source's column of times becomes an instant (rule 1): its timestamps, and its arrivals where it has them.
 *
 * A column with a zone is an instant already. One without needs the source to name its zone. Text is looked at value by
 * value, because DuckDB's own readers would take a naive time for UTC as soon as its neighbour carries a zone.
 */
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { Source } from '../model/source.ts'
import { formatInstant, type EpochMs } from '../model/time.ts'
import { localTime, type ZoneRules } from './localTime.ts'

/** Events `from <= event time < to`. */
export interface EventRange {
  readonly from: EpochMs
  readonly to: EpochMs
}

/** What can be wrong with a stored time. */
export type TimeFault = 'null' | 'no_time' | 'naive' | 'nonexistent' | 'ambiguous'

export interface EventTime {
  /** Name of the column. */
  readonly name: string
  /** SQL of the instant in whole microseconds since the epoch; what is no instant fails the query. */
  readonly micros: string
  /** The same as TIMESTAMPTZ. */
  readonly instant: string
  /** SQL condition on the stored column that holds for every event of the range, and for few others. */
  mayLieIn(range: EventRange): string
  /** Whether every value has to be read to know that it is an instant, beyond its not being null. */
  readonly isUncertain: boolean
  /** SQL of what is wrong with the stored value, as a `TimeFault`; null where it is an instant. */
  readonly fault: string
}

const naiveTypes = ['TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS', 'DATE']
const naiveText = String.raw`\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?`
const zonedText = String.raw`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?(Z|[+-]\d{2}(:?\d{2})?)`
/** Local times are at most this far from UTC, the oldest local mean times included. */
const farthestZoneMs = 24 * 36e5

/** @throws InputError where a column of this type says no instant. */
export function eventTime(source: Source, name: string, type: string): EventTime {
  const column = quoteIdentifier(name)
  if (type === 'TIMESTAMP WITH TIME ZONE') return { name, ...zonedTime(column) }
  if (type === 'VARCHAR') return { name, ...textTime(column, source) }
  if (!naiveTypes.includes(type)) {
    throw new InputError(
      `source ${source.name}: column ${name} is ${type}, which is not a time. Name the column with the time ${name === source.arrival ? 'at which the event arrived' : 'of the event'}.`,
      { source: source.name, column: name, type },
    )
  }
  if (source.timeZone === undefined) throw missingZone(source, name, `is ${type}`)
  return { name, ...naiveTime(column, type, source.timeZone, source) }
}

export function missingZone(source: Source, column: string, what: string): InputError {
  return new InputError(
    `source ${source.name}: column ${column} ${what}, without a time zone, and the source names none. Say which zone its times are in: timeZone: 'UTC', or an IANA name such as 'America/New_York'.`,
    { source: source.name, column },
  )
}

type StoredTime = Omit<EventTime, 'name'>

const naive = (ms: EpochMs) => `TIMESTAMP '${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')}'`
const zoned = (ms: EpochMs) => `make_timestamptz(${ms * 1000})`
const nullFault = (column: string, otherwise = 'NULL') =>
  `(CASE WHEN ${column} IS NULL THEN 'null' ELSE ${otherwise} END)`

function zonedTime(column: string): StoredTime {
  return {
    micros: `epoch_us(${column})`,
    instant: column,
    mayLieIn: ({ from, to }) => `${column} >= ${zoned(from)} AND ${column} < ${zoned(to)}`,
    isUncertain: false,
    fault: nullFault(column),
  }
}

function naiveTime(column: string, type: string, zone: string, rules: ZoneRules): StoredTime {
  const slack = zone === 'UTC' && type !== 'DATE' ? 0 : farthestZoneMs
  const { micros, fault } = localTime(
    type === 'TIMESTAMP' ? column : `CAST(${column} AS TIMESTAMP)`,
    zone,
    rules,
  )
  return {
    micros,
    instant: `make_timestamptz(${micros})`,
    mayLieIn: ({ from, to }) =>
      `${column} >= CAST(${naive(from - slack)} AS ${type}) AND ${column} < CAST(${naive(to + slack)} AS ${type})`,
    isUncertain: zone !== 'UTC',
    fault: nullFault(column, fault),
  }
}

function textTime(column: string, { timeZone, ...rules }: Source): StoredTime {
  // DuckDB wants seconds before a zone, and no space.
  const withSeconds = `regexp_replace(regexp_replace(${column}, '^(.{16})([^:])', '\\1:00\\2'), ' ([Z+-])', '\\1')`
  const isZoned = `regexp_full_match(${column}, ${quoteLiteral(zonedText)})`
  const isNaive = `regexp_full_match(${column}, ${quoteLiteral(naiveText)})`
  const local = (cast: string) =>
    timeZone === undefined ? null : localTime(`${cast}(${column} AS TIMESTAMP)`, timeZone, rules)
  const whereNaive = local('CAST')
  const micros = `(CASE WHEN ${isZoned} THEN epoch_us(CAST(${withSeconds} AS TIMESTAMPTZ)) ${whereNaive === null ? '' : `WHEN ${isNaive} THEN ${whereNaive.micros}`} ELSE error('not an instant: ' || coalesce(${column}, 'null')) END)`
  const isTime = (type: string, text: string) => `TRY_CAST(${text} AS ${type}) IS NOT NULL`
  const faults = [
    `WHEN ${isZoned} AND ${isTime('TIMESTAMPTZ', withSeconds)} THEN NULL`,
    `WHEN ${isNaive} AND ${isTime('TIMESTAMP', column)} THEN ${local('TRY_CAST')?.fault ?? "'naive'"}`,
  ]
  return {
    micros,
    instant: `make_timestamptz(${micros})`,
    mayLieIn: () => 'true',
    isUncertain: true,
    fault: nullFault(column, `CASE ${faults.join(' ')} ELSE 'no_time' END`),
  }
}

/** `2001-01-01T00:00:00Z to 2001-02-01T00:00:00Z`, for errors. */
export const describeRange = ({ from, to }: EventRange) => `${formatInstant(from)} to ${formatInstant(to)}`
