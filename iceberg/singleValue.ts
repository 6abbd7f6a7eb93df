/**
 * Single values: their order, and their bytes as the specification's Appendix D writes them into bounds.
 *
 * In memory a `long`, `timestamp` or `timestamptz` (microseconds since the epoch) is a bigint; an `int`, `date` (days
 * since the epoch), `float` or `double` is a number; the rest are strings, booleans and Uint8Arrays.
 *
 *     encodeBound('timestamptz', 1_000_000n)   // 8 bytes, little endian
 *     decodeBound('long', encodeBound('int', 7)) // 7n: a file written before the column was promoted
 */
import { IcebergError } from './errors.ts'
import type { PrimitiveType } from './types.ts'

/** A value, a schema or rows that a table cannot take; trying again unchanged fails again. */
export class InvalidInput extends IcebergError {
  override readonly name = 'InvalidInput'
}

export type SingleValue = bigint | number | string | boolean | Uint8Array

/** The specification's default for `write.metadata.metrics`: bounds of strings and bytes are cut here. */
export const boundLength = 16

/** Bytes of a value of that type. The value must have the type's form in memory, see above. */
export function encodeBound(type: PrimitiveType, value: SingleValue): Uint8Array {
  switch (type) {
    case 'boolean':
      return Uint8Array.of(expectForm(type, value, 'boolean') ? 1 : 0)
    case 'int':
    case 'date':
      return fixed(4, (view) => view.setInt32(0, wholeNumber(type, value), true))
    case 'long':
    case 'timestamp':
    case 'timestamptz':
      return fixed(8, (view) => view.setBigInt64(0, wholeBigint(type, value), true))
    case 'float':
      return fixed(4, (view) => view.setFloat32(0, notNaN(type, value), true))
    case 'double':
      return fixed(8, (view) => view.setFloat64(0, notNaN(type, value), true))
    case 'string':
      return new TextEncoder().encode(expectForm(type, value, 'string'))
    case 'binary':
      if (value instanceof Uint8Array) return value
      throw wrongForm(type, value)
  }
}

/** The value of a bound. A column that was promoted since (int to long, float to double) is read by its old length. */
export function decodeBound(type: PrimitiveType, bytes: Uint8Array): SingleValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (type) {
    case 'boolean':
      expectLength(type, bytes, 1)
      return bytes[0] !== 0
    case 'int':
    case 'date':
      expectLength(type, bytes, 4)
      return view.getInt32(0, true)
    case 'long':
    case 'timestamp':
    case 'timestamptz':
      if (type === 'long' && bytes.length === 4) return BigInt(view.getInt32(0, true))
      expectLength(type, bytes, 8)
      return view.getBigInt64(0, true)
    case 'float':
      expectLength(type, bytes, 4)
      return view.getFloat32(0, true)
    case 'double':
      if (bytes.length === 4) return view.getFloat32(0, true)
      expectLength(type, bytes, 8)
      return view.getFloat64(0, true)
    case 'string':
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    case 'binary':
      return bytes
  }
}

/**
 * Negative, zero or positive, in the type's order: strings by code point, bytes unsigned, NaN after everything else
 * (as DuckDB and Java order it), and -0 equal to 0.
 */
export function compareValues(type: PrimitiveType, left: SingleValue, right: SingleValue): number {
  if (type === 'string')
    return compareCodePoints(expectForm(type, left, 'string'), expectForm(type, right, 'string'))
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right)
  if (typeof left !== typeof right || left instanceof Uint8Array) throw wrongForm(type, right)
  if (left < right) return -1
  if (left > right) return 1
  if (left === right) return 0
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right))
}

/** Bytes to store as a column's lower bound, no greater than the value; undefined where there can be no bound. */
export function lowerBound(type: PrimitiveType, value: SingleValue): Uint8Array | undefined {
  if (typeof value === 'string') return encodeBound(type, codePoints(value).slice(0, boundLength).join(''))
  if (value instanceof Uint8Array) return encodeBound(type, value.slice(0, boundLength))
  if (Number.isNaN(value)) return undefined
  return encodeBound(type, value === 0 ? -0 : value)
}

/**
 * Bytes to store as a column's upper bound, no less than the value; undefined where there can be no bound.
 * A long string is cut and its last code point raised by one, as the specification asks.
 */
export function upperBound(type: PrimitiveType, value: SingleValue): Uint8Array | undefined {
  if (typeof value === 'string') {
    const cut = codePoints(value)
    const text = cut.length <= boundLength ? value : raiseCodePoints(cut.slice(0, boundLength))
    return text === undefined ? undefined : encodeBound(type, text)
  }
  if (value instanceof Uint8Array) {
    return value.length <= boundLength ? encodeBound(type, value) : raiseBytes(value.slice(0, boundLength))
  }
  if (Number.isNaN(value)) return undefined
  return encodeBound(type, value === 0 ? 0 : value)
}

const codePoints = (text: string): string[] => Array.from(text)

/** The last code point that can be raised is, and what follows it goes; surrogates are no code points of UTF-8. */
function raiseCodePoints(points: readonly string[]): string | undefined {
  for (let last = points.length - 1; last >= 0; last--) {
    const next = (points[last]?.codePointAt(0) ?? 0) + 1
    if (next <= 0x10ffff) {
      return points.slice(0, last).join('') + String.fromCodePoint(next === 0xd800 ? 0xe000 : next)
    }
  }
  return undefined
}

function raiseBytes(bytes: Uint8Array): Uint8Array | undefined {
  for (let last = bytes.length - 1; last >= 0; last--) {
    const byte = bytes[last] ?? 0
    if (byte < 0xff) return Uint8Array.of(...bytes.subarray(0, last), byte + 1)
  }
  return undefined
}

/** UTF-16 orders a surrogate pair before U+E000; code points, and so UTF-8, order it after. */
function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index)
    const b = right.charCodeAt(index)
    if (a === b) continue
    return isSurrogate(a) === isSurrogate(b) ? a - b : isSurrogate(a) ? 1 : -1
  }
  return left.length - right.length
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

function fixed(length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length)
  write(new DataView(bytes.buffer))
  return bytes
}

interface Forms {
  boolean: boolean
  number: number
  bigint: bigint
  string: string
}

function expectForm<Form extends keyof Forms>(
  type: PrimitiveType,
  value: SingleValue,
  form: Form,
): Forms[Form] {
  if (typeof value !== form) throw wrongForm(type, value)
  return value as Forms[Form]
}

function wholeNumber(type: PrimitiveType, value: SingleValue): number {
  const number = expectForm(type, value, 'number')
  if ((number | 0) !== number) throw wrongForm(type, value)
  return number
}

function wholeBigint(type: PrimitiveType, value: SingleValue): bigint {
  const bigint = expectForm(type, value, 'bigint')
  if (BigInt.asIntN(64, bigint) !== bigint) throw wrongForm(type, value)
  return bigint
}

function notNaN(type: PrimitiveType, value: SingleValue): number {
  const number = expectForm(type, value, 'number')
  if (Number.isNaN(number)) throw wrongForm(type, value)
  return number
}

function wrongForm(type: PrimitiveType, value: SingleValue): InvalidInput {
  const form = value instanceof Uint8Array ? 'bytes' : typeof value
  return new InvalidInput(
    `${String(value)} (${form}) is no value of type ${type}. Give it in the form of singleValue.ts.`,
  )
}

function expectLength(type: PrimitiveType, bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return
  throw new InvalidInput(
    `A bound of type ${type} has ${bytes.length} bytes, not ${length}. The manifest was written for another type.`,
  )
}
