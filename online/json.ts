/**
 * Values as JSON text, so that a client that reads them back has the same bits.
 *
 * int64 is a JSON number with all its digits (a client whose numbers are doubles must parse it otherwise); floats are
 * the shortest text that reads back to the same double, -0 as `-0`; what JSON has no number for is a string: `"NaN"`,
 * `"Infinity"`, `"-Infinity"`. A timestamp is an ISO string in UTC, with six digits of fraction where there is one:
 * `"2001-01-08T00:00:00.000001Z"`; beyond the years that ISO can write it is its microseconds as a string. Lists and
 * vectors are arrays of these.
 */
import { IntegrityError, shapeOf, type FeatureType, type ScalarType } from '../model/index.ts'
import type { FeatureValue, KeyValue, ScalarValue } from './store.ts'

/** @throws IntegrityError where the value is not of the type: stored values always are. */
export function valueJson(type: FeatureType, value: FeatureValue): string {
  if (value === null) return 'null'
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return elementJson(shape.scalar, value)
  if (isList(value)) return `[${value.map((element) => elementJson(shape.element, element)).join(',')}]`
  throw notOfType(type, value)
}

const isList = (value: FeatureValue): value is readonly ScalarValue[] => Array.isArray(value)

function elementJson(type: ScalarType, value: FeatureValue): string {
  if (value === null) return 'null'
  if (type === 'timestamp' && typeof value === 'bigint') return `"${formatMicros(value)}"`
  if (type !== 'timestamp' && typeof value === typeOf[type]) return scalarJson(value as KeyValue | boolean)
  throw notOfType(type, value)
}

const notOfType = (type: FeatureType, value: FeatureValue) =>
  new IntegrityError(`value ${String(value)} is no ${type}. Load the group again.`, { type })

const typeOf: Record<Exclude<ScalarType, 'timestamp'>, string> = {
  boolean: 'boolean',
  int32: 'number',
  int64: 'bigint',
  float32: 'number',
  float64: 'number',
  string: 'string',
}

/** A key, or any value that is no timestamp. */
export function scalarJson(value: KeyValue | boolean): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'number') return String(value)
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value)
  return `"${value}"`
}

const calendarMicros = 8_640_000_000_000_000_000n

/** `2001-01-08T00:00:00Z`, or with six digits of fraction where there is one. */
export function formatMicros(micros: bigint): string {
  if (micros > calendarMicros || micros < -calendarMicros) return String(micros)
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((micros - fraction) / 1000n)).toISOString().replace('.000Z', '')
  return fraction === 0n ? `${seconds}Z` : `${seconds}.${String(fraction).padStart(6, '0')}Z`
}
