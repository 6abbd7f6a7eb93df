/** The value format: layout, exactness, and MessagePack that others read. */
import { isDeepStrictEqual } from 'node:util'
import { decode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  IntegrityError,
  listOf,
  scalarTypes,
  shapeOf,
  type FeatureType,
  type ScalarType,
} from '../../model/index.ts'
import { eachRow, type FeatureColumn, type OnlineColumns } from '../../online/columns.ts'
import type { FeatureValue, LoadOrder, ScalarValue } from '../../online/store.ts'
import {
  compareOrder,
  decodeBody,
  decodeHeader,
  decodeOrder,
  encodeOrder,
  encodeValue,
  encodeValues,
  schemaTag,
  valueSchema,
} from '../../online/value.ts'

const anyScalar: Record<ScalarType, fc.Arbitrary<ScalarValue>> = {
  boolean: fc.boolean(),
  int32: fc.integer(),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float32: fc.float(),
  float64: fc.double(),
  string: fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'grapheme' })),
  timestamp: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
}

const anyType: fc.Arbitrary<FeatureType> = fc.oneof(
  fc.constantFrom(...scalarTypes),
  fc.constantFrom(...scalarTypes.map(listOf)),
  fc.constantFrom<FeatureType>('vector<1>', 'vector<15>', 'vector<16>', 'vector<300>'),
)

function anyValue(type: FeatureType): fc.Arbitrary<FeatureValue> {
  const shape = shapeOf(type)
  switch (shape.kind) {
    case 'scalar':
      return anyScalar[shape.scalar]
    case 'list':
      return fc.array(fc.option(anyScalar[shape.element], { freq: 9 }), { maxLength: 20 })
    case 'vector':
      return fc.array(anyScalar.float32, { minLength: shape.length, maxLength: shape.length })
  }
}

const anyRow = fc.array(anyType, { maxLength: 40 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    values: fc.tuple(...types.map((type) => fc.option(anyValue(type), { freq: 4 }))),
    micros: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
)

const anyOrder: fc.Arbitrary<LoadOrder> = fc.record({
  incarnation: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  sequenceNumber: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
})

const schemaOf = (types: readonly FeatureType[]) =>
  valueSchema(types.map((type, index) => ({ name: `f${index}`, type })))

test('the bytes of one value, written out', () => {
  const schema = valueSchema([
    { name: 'departures', type: 'int64' },
    { name: 'mean', type: 'float64' },
    { name: 'single', type: 'float32' },
    { name: 'small', type: 'int32' },
    { name: 'late', type: 'boolean' },
    { name: 'carrier', type: 'string' },
    { name: 'none', type: 'string' },
  ])
  const order = encodeOrder({ incarnation: 1n, sequenceNumber: 258n })
  const values = [-2n, 0.5, 1.5, -1, true, 'é', null]
  const bytes = encodeValue(schema, order, { keys: ['ATL'], eventTimestampMicros: 1_000_000n, values })
  expect(bytes.toString('hex')).toBe(
    [
      '0000000000000001',
      '0000000000000102',
      '01',
      '00',
      schema.tag,
      '00000000000f4240',
      '97',
      'd3fffffffffffffffe',
      'cb3fe0000000000000',
      'ca3fc00000',
      'd2ffffffff',
      'c3',
      'a2c3a9',
      'c0',
    ].join(''),
  )
  // A change of this tag makes every stored value unreadable: it must never be by accident.
  expect(schemaTag([{ name: 'departures', type: 'int64' }])).toBe('988b4aa7')
  const tombstone = encodeValue(schema, order, { keys: ['ATL'], eventTimestampMicros: null, values: null })
  expect(tombstone.toString('hex')).toBe('00000000000000010000000000000102' + '0101' + '00'.repeat(12))
  expect(decodeHeader(tombstone).tag).toBe(null)
})

test('every row comes back to the bit, and its body is what @msgpack/msgpack reads', () => {
  fc.assert(
    fc.property(anyRow, anyOrder, ({ types, values, micros }, order) => {
      const schema = schemaOf(types)
      const bytes = encodeValue(schema, encodeOrder(order), {
        keys: ['a'],
        eventTimestampMicros: micros,
        values,
      })
      expect(decodeHeader(bytes)).toEqual({ tag: schema.tag, eventTimestampMicros: micros })
      expect(decodeOrder(bytes)).toEqual(order)
      const back = decodeBody(schema, bytes)
      expect(isDeepStrictEqual(back, values)).toBe(true)
      expect(back.length).toBe(values.length)
      const other = decode(bytes.subarray(30), { useBigInt64: true }) as unknown[]
      expect(other.length).toBe(values.length)
      expect(isDeepStrictEqual(other, values)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

/** Columns as a load hands them over: numbers in typed arrays, the rest plain; null rows are tombstones. */
const anyBatch = fc.array(anyType, { maxLength: 12 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    rows: fc.array(
      fc.option(
        fc.record({
          micros: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
          values: fc.tuple(...types.map((type) => fc.option(anyValue(type), { freq: 4 }))),
        }),
        { freq: 5 },
      ),
      { maxLength: 20 },
    ),
  }),
)

function nullable<Items extends Float64Array | BigInt64Array>(
  items: Items,
  values: readonly FeatureValue[],
): { items: Items; nulls: Uint8Array | null } {
  values.forEach((value, at) => value !== null && (items[at] = value as Items[number]))
  return {
    items,
    nulls: values.includes(null) ? Uint8Array.from(values, (one) => Number(one === null)) : null,
  }
}

function columnOf(type: FeatureType, values: readonly FeatureValue[]): FeatureColumn {
  if (type === 'float64') return nullable(new Float64Array(values.length), values)
  if (type === 'int64' || type === 'timestamp') return nullable(new BigInt64Array(values.length), values)
  return values
}

test('column by column come the same bytes as row by row, tombstones and nulls among them', () => {
  const order = encodeOrder({ incarnation: 3n, sequenceNumber: 4n })
  fc.assert(
    fc.property(anyBatch, ({ types, rows }) => {
      const schema = schemaOf(types)
      const micros = rows.map((row) => row?.micros ?? null)
      const columns: OnlineColumns = {
        length: rows.length,
        keys: [],
        eventTimestampMicros: nullable(new BigInt64Array(rows.length), micros),
        features: types.map((type, at) =>
          columnOf(
            type,
            rows.map((row) => row?.values[at] ?? null),
          ),
        ),
      }
      const { bytes, ends } = encodeValues(schema, order, columns)
      const one = rows.map((row) =>
        encodeValue(schema, order, {
          keys: [],
          eventTimestampMicros: row?.micros ?? null,
          values: row?.values ?? null,
        }),
      )
      expect(bytes.equals(Buffer.concat(one))).toBe(true)
      expect([...ends]).toEqual(one.map((_, at) => Buffer.concat(one.slice(0, at + 1)).length))
      expect([...eachRow(columns)].map(({ values }) => values)).toEqual(
        rows.map((row) => row?.values ?? null),
      )
    }),
    { numRuns: 500 },
  )
})

test('a typed column of another type is refused with the name of its feature', () => {
  const columns = {
    length: 1,
    keys: [],
    eventTimestampMicros: { items: new BigInt64Array(1), nulls: null },
    features: [{ items: new Float64Array(1), nulls: null }],
  }
  const order = encodeOrder({ incarnation: 0n, sequenceNumber: 0n })
  expect(() => encodeValues(schemaOf(['int64']), order, columns)).toThrow(
    /feature f0.*Float64Array is no int64/,
  )
})

test('a NaN keeps the payload that JavaScript keeps, and its sign', () => {
  const schema = valueSchema([{ name: 'double', type: 'float64' }])
  const bits = Buffer.from('cb7ff8000000000000', 'hex')
  const bytes = encodeValue(schema, encodeOrder({ incarnation: 0n, sequenceNumber: 0n }), {
    keys: ['a'],
    eventTimestampMicros: 0n,
    values: [bits.readDoubleBE(1)],
  })
  expect(bytes.subarray(31).equals(bits)).toBe(true)
})

test('orders compare as bytes exactly as they compare as numbers', () => {
  fc.assert(
    fc.property(anyOrder, anyOrder, (a, b) => {
      expect(encodeOrder(a).compare(encodeOrder(b))).toBe(compareOrder(a, b))
      expect(compareOrder(a, a)).toBe(0)
      expect(compareOrder(a, { ...a, sequenceNumber: b.sequenceNumber })).toBe(
        a.sequenceNumber < b.sequenceNumber ? -1 : a.sequenceNumber > b.sequenceNumber ? 1 : 0,
      )
    }),
    { numRuns: 2000 },
  )
})

test('a schema has a tag of its own for every name, type and order', () => {
  const features = [
    { name: 'a', type: 'int64' },
    { name: 'b', type: 'float64' },
  ] as const
  const tags = [
    features,
    features.toReversed(),
    features.slice(1),
    [{ name: 'a', type: 'int32' as const }, features[1]],
    [{ name: 'c', type: 'int64' as const }, features[1]],
    [],
  ].map((one) => schemaTag(one))
  expect(new Set(tags).size).toBe(tags.length)
  expect(schemaTag([{ ...features[0], description: 'prose' } as (typeof features)[0], features[1]])).toBe(
    tags[0],
  )
  expect(tags.every((tag) => /^[0-9a-f]{8}$/.test(tag))).toBe(true)
})

test('torn or foreign bytes are an integrity error, never another value', () => {
  const schema = valueSchema([
    { name: 'n', type: 'int64' },
    { name: 's', type: 'string' },
  ])
  const order = encodeOrder({ incarnation: 1n, sequenceNumber: 1n })
  const good = encodeValue(schema, order, { keys: ['a'], eventTimestampMicros: 0n, values: [1n, 'hello'] })
  const decodeAll = (bytes: Buffer) => {
    decodeHeader(bytes)
    return decodeBody(schema, bytes)
  }
  expect(decodeAll(good)).toEqual([1n, 'hello'])
  for (let length = 0; length < good.length; length++) {
    expect(() => decodeAll(good.subarray(0, length)), `first ${length} bytes`).toThrow(IntegrityError)
  }
  const newer = Buffer.from(good)
  newer[16] = 2
  expect(() => decodeAll(newer)).toThrow(/format version 2, expected format version 1/)
  expect(() => decodeBody(valueSchema([{ name: 'n', type: 'int64' }]), good)).toThrow(
    /expected an array of 1/,
  )
  const others = valueSchema([
    { name: 'n', type: 'float64' },
    { name: 's', type: 'string' },
  ])
  expect(() => decodeBody(others, good)).toThrow(/expected n: float64, found 0xd3/)
})

test('lists and vectors, written out', () => {
  const schema = valueSchema([
    { name: 'recent', type: 'list<int64>' },
    { name: 'carriers', type: 'list<string>' },
    { name: 'embedding', type: 'vector<2>' },
    { name: 'none', type: 'list<float64>' },
  ])
  const order = encodeOrder({ incarnation: 1n, sequenceNumber: 1n })
  const encode = (values: FeatureValue[]) =>
    encodeValue(schema, order, { keys: ['a'], eventTimestampMicros: 0n, values })
  const values = [[7n, -1n], ['é', null], [0.5, -0], null]
  const bytes = encode(values)
  expect(bytes.subarray(30).toString('hex')).toBe(
    ['94', '92d30000000000000007d3ffffffffffffffff', '92a2c3a9c0', '92ca3f000000ca80000000', 'c0'].join(''),
  )
  expect(decodeBody(schema, bytes)).toEqual(values)
  const long = Array.from({ length: 70_000 }, (_, index) => BigInt(index))
  expect(decodeBody(schema, encode([long, [], [1, 2], []]))).toEqual([long, [], [1, 2], []])
  const refused: [FeatureValue[], RegExp][] = [
    [
      [null, null, [1], null],
      /feature embedding: a list of 1 is no vector<2>\. Pass a list of 2 numbers, none/,
    ],
    [[null, null, [1, null], null], /feature embedding: a list of 2 is no vector<2>/],
    [[null, null, [1, 0.1], null], /feature embedding: number 0\.1 is no float32/],
    [
      [7n, null, null, null],
      /feature recent: bigint 7 is no list<int64>\. Pass a list, each of whose elements is a b/,
    ],
    [[[7], null, null, null], /feature recent: number 7 is no int64/],
  ]
  for (const [wrong, message] of refused) expect(() => encode(wrong)).toThrow(message)
  for (let length = 30; length < bytes.length; length++) {
    expect(() => decodeBody(schema, bytes.subarray(0, length)), `first ${length} bytes`).toThrow(
      IntegrityError,
    )
  }
})
