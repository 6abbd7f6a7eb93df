/** Key texts: one entity one text, no two entities the same one. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InputError, type KeyType } from '../../model/index.ts'
import {
  keyText,
  parseKeyText,
  parseStorageKey,
  splitKeyTexts,
  storageKey,
  type KeyColumns,
} from '../../online/key.ts'
import type { KeyValue } from '../../online/store.ts'

const text = { name: 'text', type: 'string' } as const
const big = { name: 'big', type: 'int64' } as const
const small = { name: 'small', type: 'int32' } as const

// Many of the characters that matter, so that random keys collide wherever they can.
const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom('|', '\\', ',', 'e', 'a', ':', '%', ' '), maxLength: 4 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const anyKey: Record<KeyType, fc.Arbitrary<KeyValue>> = {
  string: anyText,
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  int32: fc.integer(),
}
const anyColumns: fc.Arbitrary<KeyColumns> = fc.array(fc.constantFrom(text, big, small), {
  minLength: 1,
  maxLength: 4,
})
const keysOf = (columns: KeyColumns) => fc.tuple(...columns.map(({ type }) => anyKey[type]))

test('every key text reads back to its keys, alone and in a list, and is never empty', () => {
  const entities = anyColumns.chain((columns) =>
    fc.tuple(fc.constant(columns), fc.array(keysOf(columns), { minLength: 1 })),
  )
  fc.assert(
    fc.property(entities, ([columns, all]) => {
      const texts = all.map((keys) => keyText(columns, keys))
      texts.forEach((one, index) => {
        expect(one).not.toBe('')
        expect(parseKeyText(columns, one)).toEqual(all[index])
      })
      expect(splitKeyTexts(texts.join(','))).toEqual(texts)
    }),
    { numRuns: 3000 },
  )
})

test('no two entities of a group share a text', () => {
  const pairs = fc
    .constant([text, text] as const)
    .chain((columns) => fc.tuple(keysOf(columns), keysOf(columns)))
  fc.assert(
    fc.property(pairs, ([a, b]) => {
      const same = a.every((key, index) => key === b[index])
      expect(keyText([text, text], a) === keyText([text, text], b)).toBe(same)
    }),
    { numRuns: 20_000 },
  )
})

test('a text that reads is the one that is written: nothing has two spellings', () => {
  const anyColumn = fc.constantFrom([text], [big], [small], [text, text], [text, big])
  const anyTyped = fc.oneof(anyText, fc.string({ unit: fc.constantFrom('-', '+', '0', '1', '9', '.', '|') }))
  fc.assert(
    fc.property(anyColumn, anyTyped, (columns, typed) => {
      let keys
      try {
        keys = parseKeyText(columns, typed)
      } catch (error) {
        expect(error).toBeInstanceOf(InputError)
        return
      }
      expect(keyText(columns, keys)).toBe(typed)
    }),
    { numRuns: 20_000 },
  )
})

const written: [KeyColumns, readonly KeyValue[], string][] = [
  [[text], ['ATL'], 'ATL'],
  [[text, text], ['ATL', 'JFK'], 'ATL|JFK'],
  [[text, text], ['a', 'b|c'], 'a|b\\|c'],
  [[text, text], ['a|b', 'c'], 'a\\|b|c'],
  [[text], ['a,b'], 'a\\,b'],
  [[text], ['\\'], '\\\\'],
  [[text], [''], '\\e'],
  [[text], ['\\e'], '\\\\e'],
  [[text, text], ['', ''], '\\e|\\e'],
  [[big, text], [-7n, 'web'], '-7|web'],
  [[big], [2n ** 63n - 1n], '9223372036854775807'],
]
test('texts, written out', () => {
  for (const [columns, keys, expected] of written) {
    expect(keyText(columns, keys)).toBe(expected)
    expect(parseKeyText(columns, expected)).toEqual(keys)
  }
})

test.each<[string, KeyColumns, string, RegExp]>([
  ['a leading zero', [big], '01', /key big: "01" is no int64. Write it in decimal without leading zeros/],
  ['minus nothing', [big], '-0', /leading zeros/],
  ['a plus sign', [big], '+1', /leading zeros/],
  ['a space', [big], ' 1', /leading zeros/],
  ['a fraction', [big], '1.0', /leading zeros/],
  ['an exponent', [big], '1e3', /leading zeros/],
  ['hexadecimal', [big], '0x10', /leading zeros/],
  [
    'one more than int64 holds',
    [big],
    '9223372036854775808',
    /from -9223372036854775808 to 9223372036854775807/,
  ],
  ['one more than int32 holds', [small], '2147483648', /from -2147483648 to 2147483647/],
  ['nothing', [text], '', /Write \\e for the empty string/],
  ['too few keys', [text, text], 'ATL', /has 1 keys, expected 2: text\|text. Join the keys with a bar/],
  ['too many keys', [text], 'ATL|JFK', /has 2 keys, expected 1/],
  ['a lone backslash', [text], 'a\\', /Write \\\\ for a backslash/],
  ['an unknown escape', [text], 'a\\n', /Write \\\\ for a backslash/],
  ['a bare comma', [text], 'a,b', /\\, for a comma/],
  ['a long text', [text], 'x'.repeat(1025), /1025 bytes long as a key, the limit is 1024/],
])('%s is refused with the cure', (_, columns, typed, message) => {
  expect(() => parseKeyText(columns, typed)).toThrow(InputError)
  expect(() => parseKeyText(columns, typed)).toThrow(message)
})

test('a storage key reads back, whatever its key text holds', () => {
  fc.assert(
    fc.property(anyText, (one) => {
      expect(parseStorageKey(storageKey('asof', 'airport_v1', one))).toEqual({
        store: 'asof',
        group: 'airport_v1',
        text: one,
      })
    }),
  )
  expect(() => parseStorageKey('asof:airport')).toThrow(InputError)
})
