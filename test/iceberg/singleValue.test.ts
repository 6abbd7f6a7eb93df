/** Appendix D: bytes of bounds and their order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareValues,
  decodeBound,
  encodeBound,
  InvalidInput,
  lowerBound,
  upperBound,
  type SingleValue,
} from '../../iceberg/singleValue.ts'
import type { PrimitiveType } from '../../iceberg/types.ts'

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex')
const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString()
const seed = Math.trunc(Math.random() * 2 ** 31)

const values: Record<PrimitiveType, fc.Arbitrary<SingleValue>> = {
  boolean: fc.boolean(),
  int: fc.integer(),
  date: fc.integer(),
  long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  timestamp: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  timestamptz: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float: fc.float({ noNaN: true }),
  double: fc.double({ noNaN: true }),
  string: fc.string({ unit: 'binary', maxLength: 40 }),
  binary: fc.uint8Array({ maxLength: 40 }),
}

describe('bytes', () => {
  test.each<[PrimitiveType, SingleValue, string]>([
    ['boolean', true, '01'],
    ['int', 34, '22000000'],
    ['date', -1, 'ffffffff'],
    ['long', 2n ** 53n + 1n, '0100000000002000'],
    ['timestamptz', 1n, '0100000000000000'],
    ['float', -0.5, '000000bf'],
    ['double', 1, '000000000000f03f'],
    ['string', 'é€😀', 'c3a9e282acf09f9880'],
    ['binary', Uint8Array.of(0, 255), '00ff'],
  ])('of %s %s', (type, value, bytes) => expect(hex(encodeBound(type, value))).toBe(bytes))

  test('a bound of before the column was promoted is read by its length', () => {
    expect(decodeBound('long', encodeBound('int', -7))).toBe(-7n)
    expect(decodeBound('double', encodeBound('float', 0.5))).toBe(0.5)
  })

  test('what has the wrong form or length is refused', () => {
    expect(() => encodeBound('int', 2 ** 31)).toThrow(InvalidInput)
    expect(() => encodeBound('int', 1.5)).toThrow(InvalidInput)
    expect(() => encodeBound('long', 7)).toThrow('7 (number) is no value of type long')
    expect(() => encodeBound('long', 2n ** 63n)).toThrow(InvalidInput)
    expect(() => encodeBound('double', Number.NaN)).toThrow(InvalidInput)
    expect(() => decodeBound('timestamptz', new Uint8Array(4))).toThrow('has 4 bytes, not 8')
  })

  test.each(Object.keys(values) as PrimitiveType[])('%s comes back', (type) => {
    fc.assert(
      fc.property(values[type], (value) => {
        expect(compareValues(type, decodeBound(type, encodeBound(type, value)), value)).toBe(0)
      }),
      { seed },
    )
  })
})

describe('order', () => {
  test('strings go by code point, not by UTF-16 unit', () => {
    expect(compareValues('string', '\u{1f600}', '\uffee')).toBeGreaterThan(0)
    expect(compareValues('string', '\uffee', '\u{1f600}')).toBeLessThan(0)
    fc.assert(
      fc.property(values.string, values.string, (left, right) => {
        const expected = Buffer.compare(Buffer.from(String(left)), Buffer.from(String(right)))
        expect(Math.sign(compareValues('string', left, right))).toBe(expected)
      }),
      { seed, numRuns: 2000 },
    )
  })

  test('NaN comes last, -0 equals 0, bytes are unsigned', () => {
    expect(compareValues('double', Number.NaN, Infinity)).toBe(1)
    expect(compareValues('double', Number.NaN, Number.NaN)).toBe(0)
    expect(compareValues('double', -0, 0)).toBe(0)
    expect(compareValues('binary', Uint8Array.of(0xff), Uint8Array.of(1, 2))).toBeGreaterThan(0)
  })
})

describe('stored bounds', () => {
  test.each(Object.keys(values) as PrimitiveType[])('%s lies between its own', (type) => {
    fc.assert(
      fc.property(values[type], (value) => {
        const lower = lowerBound(type, value)
        const upper = upperBound(type, value)
        expect(lower && compareValues(type, decodeBound(type, lower), value)).toBeLessThanOrEqual(0)
        if (upper) expect(compareValues(type, decodeBound(type, upper), value)).toBeGreaterThanOrEqual(0)
      }),
      { seed, numRuns: 500 },
    )
  })

  test('strings are cut at 16 code points, the upper one raised', () => {
    expect(text(lowerBound('string', '😀'.repeat(20)))).toBe('😀'.repeat(16))
    expect(text(upperBound('string', 'a'.repeat(17)))).toBe('a'.repeat(15) + 'b')
    expect(text(upperBound('string', 'a'.repeat(16)))).toBe('a'.repeat(16))
    const last = '\u{10ffff}'
    expect(text(upperBound('string', 'a' + last.repeat(16)))).toBe('b')
    expect(upperBound('string', last.repeat(17))).toBeUndefined()
    expect(text(upperBound('string', 'a'.repeat(15) + '\ud7ffz'))).toBe('a'.repeat(15) + '\ue000')
    expect(upperBound('binary', new Uint8Array(17).fill(255))).toBeUndefined()
  })

  test('zeros are widened to both signs, NaN has no bound', () => {
    expect(hex(lowerBound('double', 0))).toBe('0000000000000080')
    expect(hex(upperBound('double', -0))).toBe('0000000000000000')
    expect(hex(lowerBound('int', 0))).toBe('00000000')
    expect(upperBound('float', Number.NaN)).toBeUndefined()
  })
})
