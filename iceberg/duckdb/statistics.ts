/**
 * What COPY's RETURN_STATS says of a Parquet file, as a manifest wants it: sizes, counts and bounds by field id.
 *
 * DuckDB leaves out what it does not know (the bounds of a column of nulls, of strings that it could not cut safely),
 * and so do we: an absent statistic is always right. Lists get sizes only, as other writers do.
 */
import { DuckDBMapValue, type DuckDBValue } from '@duckdb/node-api'
import { InvalidInput, lowerBound, upperBound, type SingleValue } from '../singleValue.ts'
import type { DataFile, NestedField, PrimitiveType, Schema } from '../types.ts'
import { quoteIdentifier } from './quote.ts'

export type FileStatistics = Pick<
  DataFile,
  'columnSizes' | 'valueCounts' | 'nullValueCounts' | 'nanValueCounts' | 'lowerBounds' | 'upperBounds'
>

/** `column_statistics` of RETURN_STATS. Refuses infinite timestamps and dates, and nulls in a required column. */
export function fileStatistics(schema: Schema, columnStatistics: DuckDBValue): FileStatistics {
  const byColumn = asMap(columnStatistics)
  const statistics = {
    columnSizes: new Map<number, bigint>(),
    valueCounts: new Map<number, bigint>(),
    nullValueCounts: new Map<number, bigint>(),
    nanValueCounts: new Map<number, bigint>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
  }
  const setCount = (counts: Map<number, bigint>, id: number, value: DuckDBValue | undefined): void => {
    if (typeof value === 'string') counts.set(id, BigInt(value))
  }
  for (const field of schema.fields) {
    const { id, name, type } = field
    if (typeof type !== 'string') {
      const element = asMap(byColumn.get(`${quoteIdentifier(name)}."element"`))
      setCount(statistics.columnSizes, type['element-id'], element.get('column_size_bytes'))
      continue
    }
    const column = asMap(byColumn.get(quoteIdentifier(name)))
    setCount(statistics.columnSizes, id, column.get('column_size_bytes'))
    setCount(statistics.valueCounts, id, column.get('num_values'))
    setCount(statistics.nullValueCounts, id, column.get('null_count'))
    refuseNulls(field, statistics.nullValueCounts.get(id))
    // DuckDB says that there are NaN, not how many: then there is no count.
    if (column.get('has_nan') === 'false') statistics.nanValueCounts.set(id, 0n)
    const { lower, upper } = bounds(field, type, column)
    if (lower) statistics.lowerBounds.set(id, lower)
    if (upper) statistics.upperBounds.set(id, upper)
  }
  return statistics
}

function asMap(value: DuckDBValue | undefined): Map<DuckDBValue, DuckDBValue> {
  if (!(value instanceof DuckDBMapValue)) return new Map()
  return new Map(value.entries.map((entry) => [entry.key, entry.value]))
}

function refuseNulls(field: NestedField, nulls: bigint | undefined): void {
  if (!field.required || !nulls) return
  throw new InvalidInput(
    `Column ${JSON.stringify(field.name)} is required, but ${nulls} of its values are null. Filter those rows or make the column optional.`,
  )
}

function bounds(
  field: NestedField,
  type: PrimitiveType,
  column: Map<DuckDBValue, DuckDBValue>,
): { lower?: Uint8Array; upper?: Uint8Array } {
  const min = column.get('min')
  const max = column.get('max')
  if (typeof min !== 'string' || typeof max !== 'string') return {}
  refuseInfinity(field, min)
  refuseInfinity(field, max)
  return {
    lower: lowerBound(type, parseStatistic(type, min)),
    upper: upperBound(type, parseStatistic(type, max)),
  }
}

const temporalTypes: readonly PrimitiveType[] = ['date', 'timestamp', 'timestamptz']

/** DuckDB has infinite instants, Iceberg has none: DuckDB would write them as some far year's. */
export function refuseInfinity({ name, type }: NestedField, text: string): void {
  if (typeof type !== 'string' || !temporalTypes.includes(type) || !/^-?infinity$/.test(text)) return
  throw new InvalidInput(
    `Column ${JSON.stringify(name)} (${type}) holds ${text}, which a table cannot. Write null or a real instant instead.`,
  )
}

/** A value as RETURN_STATS prints it: booleans as 0 and 1, bytes as hex, timestamps in UTC. */
export function parseStatistic(type: PrimitiveType, text: string): SingleValue {
  switch (type) {
    case 'boolean':
      return text === '1' || text === 'true'
    case 'int':
      return Number(text)
    case 'long':
      return BigInt(text)
    case 'float':
    case 'double':
      return text.endsWith('inf') ? Number(text.replace('inf', 'Infinity')) : Number(text)
    case 'string':
      return text
    case 'date':
      return parseTimestamp(text).days
    case 'timestamp':
    case 'timestamptz': {
      const { days, micros } = parseTimestamp(text)
      return BigInt(days) * 86_400_000_000n + micros
    }
    case 'binary':
      return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
  }
}

const timestampPattern =
  /^(\d+)-(\d\d)-(\d\d)( \(BC\))?(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?( \(BC\))?(?:\+00)?)?$/

function parseTimestamp(text: string): { days: number; micros: bigint } {
  const match = timestampPattern.exec(text)
  if (!match)
    throw new InvalidInput(`DuckDB's statistic ${JSON.stringify(text)} is no date or timestamp in UTC.`)
  const [year = 0, month = 0, day = 0] = match.slice(1, 4).map(Number)
  const [hours = 0, minutes = 0, seconds = 0] = match.slice(5, 8).map((part) => Number(part || 0))
  const fraction = BigInt((match[8] ?? '').padEnd(6, '0'))
  const beforeChrist = match[4] ?? match[9]
  return {
    days: daysSinceEpoch(beforeChrist ? 1 - year : year, month, day),
    micros: BigInt(hours * 3600 + minutes * 60 + seconds) * 1_000_000n + fraction,
  }
}

/** Howard Hinnant's days_from_civil: proleptic Gregorian, for years that Date cannot hold. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year
  const era = Math.floor(marchYear / 400)
  const yearOfEra = marchYear - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
