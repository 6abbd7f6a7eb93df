/**
 * The body of a value: its features as one MessagePack array, in the order of the schema.
 *
 * One encoding per type, so that equal values have equal bytes: nil `c0`; boolean `c2`/`c3`; int32 `d2`; int64 and
 * timestamp (microseconds) `d3`; float32 `ca`; float64 `cb` with its exact bits; string and list with the shortest length
 * prefix; the elements of a list as values of their own, those of a vector as float32.
 */
import { InputError, IntegrityError, shapeOf, type FeatureType, type ScalarType } from '../model/index.ts'
import { checkInt64, isPlain, type FeatureColumn, type NumberColumn } from './columns.ts'
import type { FeatureValue, ScalarValue, ValueSchema } from './store.ts'

type Features = ValueSchema['features']
type FixedType = Exclude<ScalarType, 'string'>

const fixedSize: Record<FixedType, number> = {
  boolean: 1,
  int32: 5,
  float32: 5,
  int64: 9,
  timestamp: 9,
  float64: 9,
}

/** How many bytes the body of each row takes, 0 for a tombstone. */
export function sizesOfBodies(
  features: Features,
  columns: readonly FeatureColumn[],
  isTombstone: Uint8Array,
): Uint32Array {
  const sizes = new Uint32Array(isTombstone.length).fill(arrayHeaderSize(features.length))
  columns.forEach((column, at) => addSizes(sizes, (features[at] as Features[number]).type, column))
  for (let row = 0; row < sizes.length; row++) if (isTombstone[row] === 1) sizes[row] = 0
  return sizes
}

function addSizes(sizes: Uint32Array, type: FeatureType, column: FeatureColumn): void {
  if (isPlain(column)) {
    for (let row = 0; row < sizes.length; row++) {
      sizes[row] = (sizes[row] as number) + sizeOfValue(type, column[row] ?? null)
    }
    return
  }
  const { nulls } = column
  for (let row = 0; row < sizes.length; row++) {
    sizes[row] = (sizes[row] as number) + (nulls?.[row] === 1 ? 1 : fixedSize.float64)
  }
}

export function sizeOfBody(features: Features, values: readonly FeatureValue[]): number {
  let size = arrayHeaderSize(values.length)
  for (let index = 0; index < features.length; index++) {
    const value = values[index] ?? null
    const { type } = features[index] as Features[number]
    size += sizeOfValue(type, value)
  }
  return size
}

function sizeOfValue(type: FeatureType, value: FeatureValue): number {
  if (!isList(value)) return sizeOfScalar(type as ScalarType, value)
  const shape = shapeOf(type)
  const element = shape.kind === 'scalar' ? shape.scalar : shape.element
  return value.reduce<number>((size, one) => size + sizeOfScalar(element, one), arrayHeaderSize(value.length))
}

function sizeOfScalar(type: ScalarType, value: ScalarValue): number {
  if (value === null) return 1
  if (type === 'string') return typeof value === 'string' ? stringSize(Buffer.byteLength(value)) : 0
  return fixedSize[type] ?? 0
}

const isList = (value: FeatureValue): value is readonly ScalarValue[] => Array.isArray(value)
const arrayHeaderSize = (length: number): number => (length < 16 ? 1 : length < 0x1_0000 ? 3 : 5)
const stringSize = (length: number): number =>
  length + (length < 32 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5)

/** Writes the body at `at`. @throws InputError where a value is not of its feature's type. */
export function writeBody(
  bytes: Buffer,
  features: Features,
  values: readonly FeatureValue[],
  at: number,
): void {
  at = writeArrayHeader(bytes, values.length, at)
  features.forEach((feature, index) => (at = writeValue(bytes, feature, values[index] ?? null, at)))
}

/**
 * Writes the bodies of many rows, column by column: what has to be done to a value is decided once for all of them.
 *
 * @param cursors where each body begins; afterwards, where it ends
 * @throws InputError where a value is not of its feature's type
 */
export function writeBodies(
  bytes: Buffer,
  features: Features,
  columns: readonly FeatureColumn[],
  isTombstone: Uint8Array,
  cursors: Uint32Array,
): void {
  for (let row = 0; row < cursors.length; row++) {
    if (isTombstone[row] === 1) continue
    cursors[row] = writeArrayHeader(bytes, features.length, cursors[row] as number)
  }
  columns.forEach((column, at) =>
    writeColumn(bytes, features[at] as Features[number], column, isTombstone, cursors),
  )
}

function writeColumn(
  bytes: Buffer,
  feature: Features[number],
  column: FeatureColumn,
  isTombstone: Uint8Array,
  cursors: Uint32Array,
): void {
  if (!isPlain(column)) {
    writeNumbers(bytes, feature, column, isTombstone, cursors)
    return
  }
  for (let row = 0; row < cursors.length; row++) {
    if (isTombstone[row] === 1) continue
    cursors[row] = writeValue(bytes, feature, column[row] ?? null, cursors[row] as number)
  }
}

/** Loops as plain as these two become a few instructions a value, which is what a load of millions lives on. */
function writeNumbers(
  bytes: Buffer,
  { name, type }: Features[number],
  { items, nulls }: NumberColumn<Float64Array> | NumberColumn<BigInt64Array>,
  isTombstone: Uint8Array,
  cursors: Uint32Array,
): void {
  const isDouble = items instanceof Float64Array
  if (isDouble ? type !== 'float64' : type !== 'int64' && type !== 'timestamp') {
    throw new InputError(`feature ${name}: a column of ${items.constructor.name} is no ${type}.`, {
      feature: name,
    })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let row = 0; row < cursors.length; row++) {
    if (isTombstone[row] === 1) continue
    const at = cursors[row] as number
    if (nulls?.[row] === 1) {
      bytes[at] = nil
      cursors[row] = at + 1
      continue
    }
    bytes[at] = isDouble ? markOf.float64 : markOf.int64
    if (isDouble) view.setFloat64(at + 1, items[row] as number)
    else view.setBigInt64(at + 1, items[row] as bigint)
    cursors[row] = at + fixedSize.float64
  }
}

const nil = 0xc0

function writeArrayHeader(bytes: Buffer, length: number, at: number): number {
  if (length < 16) return bytes.writeUInt8(0x90 | length, at)
  if (length < 0x1_0000) return bytes.writeUInt16BE(length, bytes.writeUInt8(0xdc, at))
  return bytes.writeUInt32BE(length, bytes.writeUInt8(0xdd, at))
}

function writeValue(bytes: Buffer, feature: Features[number], value: FeatureValue, at: number): number {
  if (value === null) return bytes.writeUInt8(0xc0, at)
  const { name, type } = feature
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') {
    if (isList(value)) throw wrongValue(name, type, value)
    return writeScalar(bytes, name, shape.scalar, value, at)
  }
  const isVector = shape.kind === 'vector'
  if (!isList(value) || (isVector && (value.length !== shape.length || value.includes(null)))) {
    throw wrongValue(name, type, value)
  }
  at = writeArrayHeader(bytes, value.length, at)
  for (const element of value) at = writeScalar(bytes, name, shape.element, element, at)
  return at
}

function writeScalar(bytes: Buffer, name: string, type: ScalarType, value: ScalarValue, at: number): number {
  if (value === null) return bytes.writeUInt8(0xc0, at)
  if (type === 'boolean' && typeof value === 'boolean') return bytes.writeUInt8(value ? 0xc3 : 0xc2, at)
  if (type === 'string' && typeof value === 'string') return writeString(bytes, value, at, name)
  if ((type === 'int64' || type === 'timestamp') && typeof value === 'bigint') {
    return bytes.writeBigInt64BE(checkInt64(value, name), bytes.writeUInt8(0xd3, at))
  }
  if (typeof value === 'number') {
    if (type === 'float64') return bytes.writeDoubleBE(value, bytes.writeUInt8(0xcb, at))
    if (type === 'int32' && (value | 0) === value) {
      return bytes.writeInt32BE(value, bytes.writeUInt8(0xd2, at))
    }
    if (type === 'float32' && Object.is(Math.fround(value), value)) {
      return bytes.writeFloatBE(value, bytes.writeUInt8(0xca, at))
    }
  }
  throw wrongValue(name, type, value)
}

const expectedForm: Record<ScalarType, string> = {
  boolean: 'a boolean',
  int32: 'a whole number within 32 bits',
  int64: 'a bigint within 64 bits',
  float32: 'a number that a float32 holds exactly',
  float64: 'a number',
  string: 'a string',
  timestamp: 'microseconds since the epoch as a bigint',
}

function wrongValue(name: string, type: FeatureType, value: FeatureValue): InputError {
  const shape = shapeOf(type)
  const form = {
    scalar: () => (shape.kind === 'scalar' ? expectedForm[shape.scalar] : ''),
    list: () =>
      shape.kind === 'list' ? `a list, each of whose elements is ${expectedForm[shape.element]}` : '',
    vector: () => (shape.kind === 'vector' ? `a list of ${shape.length} numbers, none of them null` : ''),
  }[shape.kind]()
  const shown = isList(value) ? `a list of ${value.length}` : `${typeof value} ${String(value)}`
  return new InputError(`feature ${name}: ${shown} is no ${type}. Pass ${form}.`, { feature: name, type })
}

function writeString(bytes: Buffer, value: string, at: number, name: string): number {
  // Node would write U+FFFD for a lone surrogate: another string than the one that was trained on.
  if (/\p{Surrogate}/u.test(value)) {
    throw new InputError(`feature ${name}: ${JSON.stringify(value)} is not well-formed Unicode.`, {
      feature: name,
    })
  }
  const length = Buffer.byteLength(value)
  if (length < 32) at = bytes.writeUInt8(0xa0 | length, at)
  else if (length < 0x100) at = bytes.writeUInt8(length, bytes.writeUInt8(0xd9, at))
  else if (length < 0x1_0000) at = bytes.writeUInt16BE(length, bytes.writeUInt8(0xda, at))
  else at = bytes.writeUInt32BE(length, bytes.writeUInt8(0xdb, at))
  return at + bytes.write(value, at, 'utf8')
}

/** Where reading has come to. */
interface Cursor {
  readonly schema: ValueSchema
  readonly bytes: Buffer
  at: number
}

/** Reads the body at `at`. @throws IntegrityError where it does not fit the schema. */
export function readBody(schema: ValueSchema, bytes: Buffer, at: number): FeatureValue[] {
  const cursor = { schema, bytes, at }
  try {
    const { features } = schema
    if (readArrayHeader(cursor, 'values') !== features.length) {
      throw misfit(cursor, `an array of ${features.length}`, bytes[at])
    }
    return features.map(({ name, type }) => readValue(cursor, name, type))
  } catch (error) {
    if (error instanceof RangeError) throw misfit(cursor, 'more bytes', undefined)
    throw error
  }
}

function readArrayHeader(cursor: Cursor, what: string): number {
  const { bytes, at } = cursor
  const mark = bytes[at] ?? 0
  if ((mark & 0xf0) === 0x90) {
    cursor.at += 1
    return mark & 0x0f
  }
  if (mark !== 0xdc && mark !== 0xdd) throw misfit(cursor, `${what}: an array`, bytes[at])
  const length = mark === 0xdc ? bytes.readUInt16BE(at + 1) : bytes.readUInt32BE(at + 1)
  cursor.at += mark === 0xdc ? 3 : 5
  return length
}

function readValue(cursor: Cursor, name: string, type: FeatureType): FeatureValue {
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return readScalar(cursor, name, shape.scalar)
  if (cursor.bytes[cursor.at] === 0xc0) {
    cursor.at += 1
    return null
  }
  const length = readArrayHeader(cursor, `${name}: ${type}`)
  // Each element takes at least a byte: a length that cannot be is noticed before anything is made of it.
  if (length > cursor.bytes.length - cursor.at) throw misfit(cursor, 'more bytes', undefined)
  return Array.from({ length }, () => readScalar(cursor, name, shape.element))
}

function readScalar(cursor: Cursor, name: string, type: ScalarType): ScalarValue {
  const { bytes, at } = cursor
  const mark = bytes[at]
  if (mark === 0xc0) {
    cursor.at += 1
    return null
  }
  if (type === 'string') {
    const [start, end] = stringBounds(bytes, at)
    if (start === at || end > bytes.length) throw misfit(cursor, `${name}: string`, mark)
    cursor.at = end
    return bytes.toString('utf8', start, end)
  }
  if (!fits(type, mark)) throw misfit(cursor, `${name}: ${type}`, mark)
  cursor.at += fixedSize[type]
  return readFixed(bytes, type, at)
}

const markOf = { int32: 0xd2, float32: 0xca, int64: 0xd3, timestamp: 0xd3, float64: 0xcb } as const

function fits(type: FixedType, mark: number | undefined): boolean {
  return type === 'boolean' ? mark === 0xc2 || mark === 0xc3 : mark === markOf[type]
}

function readFixed(bytes: Buffer, type: FixedType, at: number): ScalarValue {
  switch (type) {
    case 'boolean':
      return bytes[at] === 0xc3
    case 'int32':
      return bytes.readInt32BE(at + 1)
    case 'float32':
      return bytes.readFloatBE(at + 1)
    case 'float64':
      return bytes.readDoubleBE(at + 1)
    case 'int64':
    case 'timestamp':
      return bytes.readBigInt64BE(at + 1)
  }
}

/**
 * Finds where each feature stands, without decoding any.
 *
 * @param into gets the place of each feature and, last, the end of the body
 * @throws IntegrityError where the body does not fit the schema
 */
export function locateFeatures(schema: ValueSchema, bytes: Buffer, at: number, into: Uint32Array): void {
  const { features } = schema
  const cursor = { schema, bytes, at }
  if (readArrayHeader(cursor, 'values') !== features.length) {
    throw misfit(cursor, `an array of ${features.length}`, bytes[at])
  }
  for (let index = 0; index < features.length; index++) {
    into[index] = cursor.at
    const { name, type } = features[index] as Features[number]
    if (bytes[cursor.at] === nil) cursor.at += 1
    else if (type === 'float64' && bytes[cursor.at] === markOf.float64) cursor.at += fixedSize.float64
    else passValue(cursor, name, type)
  }
  into[features.length] = cursor.at
  if (cursor.at !== bytes.length) throw misfit(cursor, 'the end of the value', bytes[cursor.at])
}

function passValue(cursor: Cursor, name: string, type: FeatureType): void {
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') {
    passScalar(cursor, name, shape.scalar)
    return
  }
  for (let left = readArrayHeader(cursor, `${name}: ${type}`); left > 0; left--) {
    if (cursor.at >= cursor.bytes.length) throw misfit(cursor, 'more bytes', undefined)
    passScalar(cursor, name, shape.element)
  }
}

function passScalar(cursor: Cursor, name: string, type: ScalarType): void {
  const { bytes, at } = cursor
  const mark = bytes[at]
  if (mark === nil) cursor.at += 1
  else if (type === 'string') {
    const [start, end] = stringBounds(bytes, at)
    if (start === at || end > bytes.length) throw misfit(cursor, `${name}: string`, mark)
    cursor.at = end
  } else {
    if (!fits(type, mark)) throw misfit(cursor, `${name}: ${type}`, mark)
    cursor.at += fixedSize[type]
  }
}

/** Reads one feature at its place. */
export function readFeature(schema: ValueSchema, index: number, bytes: Buffer, at: number): FeatureValue {
  const { name, type } = schema.features[index] as Features[number]
  return readValue({ schema, bytes, at }, name, type)
}

/** One value as it stands in a body. @throws InputError where it is not of its feature's type */
export function encodeFeature(feature: Features[number], value: FeatureValue): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOfValue(feature.type, value))
  writeValue(bytes, feature, value, 0)
  return bytes
}

/** Where a string's bytes start and end; both `at` where there is no string. */
function stringBounds(bytes: Buffer, at: number): [start: number, end: number] {
  const mark = bytes[at] ?? 0
  if ((mark & 0xe0) === 0xa0) return [at + 1, at + 1 + (mark & 0x1f)]
  if (mark === 0xd9) return [at + 2, at + 2 + bytes.readUInt8(at + 1)]
  if (mark === 0xda) return [at + 3, at + 3 + bytes.readUInt16BE(at + 1)]
  if (mark === 0xdb) return [at + 5, at + 5 + bytes.readUInt32BE(at + 1)]
  return [at, at]
}

function misfit({ schema: { tag } }: Cursor, expected: string, mark: number | undefined): IntegrityError {
  const found = mark === undefined ? 'nothing' : `0x${mark.toString(16)}`
  return new IntegrityError(
    `online value with schema ${tag}: expected ${expected}, found ${found}. Load the group again.`,
    { tag },
  )
}
