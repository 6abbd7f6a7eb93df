/** Values that a request brings for on-demand functions, as functions see values: int64 as bigint, instants in milliseconds. */
import { InputError, parseInstant, type OnDemandValue, type ScalarType } from '../model/index.ts'
import { shown, type AskedRows } from './body.ts'

/** By name and row. A value that is also a key of an entity may come once, as the key. @throws InputError with the cure */
export function requestValues(
  types: ReadonlyMap<string, ScalarType>,
  rows: AskedRows,
): ReadonlyMap<string, readonly OnDemandValue[]> {
  if (types.size === 0 && rows.request.size === 0) return nothingAsked
  const stray = [...rows.request.keys()].find((name) => !types.has(name))
  if (stray !== undefined) {
    const known = [...types.keys()].join(', ') || 'none'
    throw new InputError(
      `request has ${JSON.stringify(stray)}, which nothing asks for. Asked for are: ${known}.`,
    )
  }
  return new Map(
    [...types].map(([name, type]) => {
      const values = rows.request.get(name) ?? rows.entities.get(name)
      if (values === undefined) {
        throw new InputError(
          `request lacks ${JSON.stringify(name)} (${type}), which on-demand features ask for. Send one value per row, null where there is none.`,
        )
      }
      return [name, values.map((value, row) => requestValue(name, type, value, row))]
    }),
  )
}

const nothingAsked: ReadonlyMap<string, readonly OnDemandValue[]> = new Map()

function requestValue(name: string, type: ScalarType, value: unknown, row: number): OnDemandValue {
  if (value === null || value === undefined) return null
  const read = readers[type](value)
  if (read !== undefined) return read
  throw new InputError(
    `request, ${name}, row ${row + 1}: ${shown(value)} is no ${type}. Send ${forms[type]}.`,
    { name, type },
  )
}

const forms: Readonly<Record<ScalarType, string>> = {
  boolean: 'true or false',
  int32: 'a whole number within 32 bits',
  int64: 'a whole number within 64 bits, or its digits as a string',
  float32: 'a number, "NaN", "Infinity" or "-Infinity"',
  float64: 'a number, "NaN", "Infinity" or "-Infinity"',
  string: 'well-formed text in quotes',
  timestamp: 'an instant such as "2001-01-08T06:00:00Z", or microseconds since the epoch as a whole number',
}

const readers: Readonly<Record<ScalarType, (value: unknown) => OnDemandValue | undefined>> = {
  boolean: (value) => (typeof value === 'boolean' ? value : undefined),
  int32: (value) => (typeof value === 'number' && (value | 0) === value ? value | 0 : undefined),
  int64: wholeNumber,
  float32: (value) => mapped(double(value), Math.fround),
  float64: double,
  string: (value) => (typeof value === 'string' && !/\p{Surrogate}/u.test(value) ? value : undefined),
  timestamp: instant,
}

const mapped = <T>(value: T | undefined, map: (value: T) => T) =>
  value === undefined ? undefined : map(value)

function wholeNumber(value: unknown): bigint | undefined {
  const isDigits = typeof value === 'string' && /^(0|-?[1-9]\d{0,18})$/.test(value)
  const whole = isDigits || Number.isSafeInteger(value) ? BigInt(value as string | number) : value
  return typeof whole === 'bigint' && BigInt.asIntN(64, whole) === whole ? whole : undefined
}

/** JSON has no numbers for what is not finite, so answers write it as text, and requests may. */
const notFinite: Readonly<Record<string, number>> = { NaN, Infinity, '-Infinity': -Infinity }

function double(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  // A whole number of many digits: the double next to it is what any parser of JSON makes of it.
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'string' && Object.hasOwn(notFinite, value) ? notFinite[value] : undefined
}

/** Milliseconds since the epoch, microseconds as their fraction. */
function instant(value: unknown): number | undefined {
  if (typeof value === 'string') {
    try {
      const beyondMs = /\.\d{3}(\d{1,3})/.exec(value)?.[1] ?? ''
      return parseInstant(value) + Number(beyondMs.padEnd(3, '0')) / 1000
    } catch {
      return undefined
    }
  }
  const micros = wholeNumber(value)
  return micros === undefined ? undefined : Number(micros) / 1000
}
