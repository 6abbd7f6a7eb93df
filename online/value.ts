/**
 * The value format: what is stored for one entity, the same bytes in every store.
 *
 * | bytes | what | written as |
 * |---|---|---|
 * | 0..7 | incarnation of the table | u64, big-endian |
 * | 8..15 | sequence number of the snapshot | u64, big-endian |
 * | 16 | version of this format | 1 |
 * | 17 | flags | bit 0: tombstone |
 * | 18..21 | tag of the schema | the 4 bytes that the 8 hex digits name; 0 in a tombstone |
 * | 22..29 | event timestamp in microseconds | i64, big-endian; 0 in a tombstone |
 * | 30.. | the features, in the order of the schema | one MessagePack array; absent in a tombstone |
 *
 * The order comes first and has a fixed length, so a store decides which of two writes wins (rule 9) by comparing the
 * first sixteen bytes as bytes, without decoding. The event timestamp stands at a fixed place, so ttl can be judged
 * without the body. The body is plain MessagePack that any library reads; one encoding per type, so that equal values
 * have equal bytes: nil `c0`; boolean `c2`/`c3`; int32 `d2`; int64 and timestamp (microseconds) `d3`; float32 `ca`;
 * float64 `cb` with its exact bits; string with the shortest length prefix.
 */
import { createHash } from 'node:crypto'
import { InputError, IntegrityError, type FeatureType } from '../model/index.ts'
import type { FeatureValue, LoadOrder, OnlineRow, ValueSchema } from './store.ts'

export const orderBytes = 16
const versionAt = 16
const flagsAt = 17
const tagAt = 18
const timestampAt = 22
const bodyAt = 30
const formatVersion = 1
const tombstoneFlag = 1

type Features = ValueSchema['features']

/** First 8 hex digits of the SHA-256 over names and types, in order. */
export function schemaTag(features: Features): string {
  const text = JSON.stringify(features.map(({ name, type }) => [name, type]))
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

export function valueSchema(features: Features): ValueSchema {
  return { tag: schemaTag(features), features: features.map(({ name, type }) => ({ name, type })) }
}

/** Below 0 where `a` loses against `b`, 0 where they are equal, above 0 where `a` wins. */
export function compareOrder(a: LoadOrder, b: LoadOrder): number {
  const [left, right] =
    a.incarnation === b.incarnation ? [a.sequenceNumber, b.sequenceNumber] : [a.incarnation, b.incarnation]
  return left < right ? -1 : left > right ? 1 : 0
}

/** The sixteen bytes that decide, as stored at the start of a value. */
export function encodeOrder({ incarnation, sequenceNumber }: LoadOrder): Buffer {
  const bytes = Buffer.allocUnsafe(orderBytes)
  writeUnsigned(bytes, incarnation, 0, 'incarnation')
  writeUnsigned(bytes, sequenceNumber, 8, 'sequence number')
  return bytes
}

function writeUnsigned(bytes: Buffer, value: bigint, at: number, what: string): void {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
    throw new InputError(`${what} ${value} is no unsigned 64-bit integer. Pass the one of the snapshot.`)
  }
  bytes.writeBigUInt64BE(value, at)
}

export function decodeOrder(bytes: Buffer): LoadOrder {
  return { incarnation: bytes.readBigUInt64BE(0), sequenceNumber: bytes.readBigUInt64BE(8) }
}

/**
 * Encodes one row.
 *
 * @throws InputError where a value is not of its feature's type; the message names the feature.
 */
export function encodeValue(schema: ValueSchema, order: Buffer, row: OnlineRow): Buffer {
  const { values, eventTimestampMicros } = row
  if ((values === null) !== (eventTimestampMicros === null)) {
    throw new InputError(
      `entity ${row.keys.join('|')}: values and event timestamp are null together (a tombstone) or not at all.`,
    )
  }
  if (values === null || eventTimestampMicros === null) return encodeTombstone(order)
  if (values.length !== schema.features.length) {
    throw new InputError(
      `entity ${row.keys.join('|')}: ${values.length} values for ${schema.features.length} features (${schema.features.map(({ name }) => name).join(', ')}). Pass one value per feature, null where there is none.`,
    )
  }
  const bytes = Buffer.allocUnsafe(bodyAt + sizeOfBody(schema.features, values))
  order.copy(bytes, 0, 0, orderBytes)
  bytes[versionAt] = formatVersion
  bytes[flagsAt] = 0
  bytes.writeUInt32BE(Number.parseInt(schema.tag, 16), tagAt)
  writeInt64(bytes, eventTimestampMicros, timestampAt, 'event_timestamp')
  let at = writeArrayHeader(bytes, values.length, bodyAt)
  schema.features.forEach((feature, index) => {
    at = writeValue(bytes, feature, values[index] ?? null, at)
  })
  return bytes
}

function encodeTombstone(order: Buffer): Buffer {
  const bytes = Buffer.alloc(bodyAt)
  order.copy(bytes, 0, 0, orderBytes)
  bytes[versionAt] = formatVersion
  bytes[flagsAt] = tombstoneFlag
  return bytes
}

const fixedSize: Record<Exclude<FeatureType, 'string'>, number> = {
  boolean: 1,
  int32: 5,
  float32: 5,
  int64: 9,
  timestamp: 9,
  float64: 9,
}

function sizeOfBody(features: Features, values: readonly FeatureValue[]): number {
  let size = arrayHeaderSize(values.length)
  features.forEach(({ type }, index) => {
    const value = values[index] ?? null
    if (value === null) size += 1
    else if (type !== 'string') size += fixedSize[type]
    else if (typeof value === 'string') size += stringSize(Buffer.byteLength(value))
  })
  return size
}

const arrayHeaderSize = (length: number): number => (length < 16 ? 1 : 3)
const stringSize = (length: number): number =>
  length + (length < 32 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5)

function writeArrayHeader(bytes: Buffer, length: number, at: number): number {
  if (length < 16) return bytes.writeUInt8(0x90 | length, at)
  return bytes.writeUInt16BE(length, bytes.writeUInt8(0xdc, at))
}

function writeValue(bytes: Buffer, feature: Features[number], value: FeatureValue, at: number): number {
  if (value === null) return bytes.writeUInt8(0xc0, at)
  const { name, type } = feature
  if (type === 'boolean' && typeof value === 'boolean') return bytes.writeUInt8(value ? 0xc3 : 0xc2, at)
  if (type === 'string' && typeof value === 'string') return writeString(bytes, value, at, name)
  if ((type === 'int64' || type === 'timestamp') && typeof value === 'bigint') {
    return writeInt64(bytes, value, bytes.writeUInt8(0xd3, at), name)
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
  throw new InputError(
    `feature ${name}: ${typeof value} ${String(value)} is no ${type}. Pass ${expectedForm[type]}.`,
    { feature: name, type },
  )
}

const expectedForm: Record<FeatureType, string> = {
  boolean: 'a boolean',
  int32: 'a whole number within 32 bits',
  int64: 'a bigint within 64 bits',
  float32: 'a number that a float32 holds exactly',
  float64: 'a number',
  string: 'a string',
  timestamp: 'microseconds since the epoch as a bigint',
}

function writeInt64(bytes: Buffer, value: bigint, at: number, name: string): number {
  if (BigInt.asIntN(64, value) !== value) {
    throw new InputError(`feature ${name}: ${value} does not fit into 64 bits.`, { feature: name })
  }
  return bytes.writeBigInt64BE(value, at)
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

/** What stands before the body. `tag` is null for a tombstone. */
export interface ValueHeader {
  readonly tag: string | null
  readonly eventTimestampMicros: bigint
}

/** @throws IntegrityError where the bytes are no value, or one of a format that this version does not know. */
export function decodeHeader(bytes: Buffer): ValueHeader {
  if (bytes.length < bodyAt || bytes[versionAt] !== formatVersion) {
    const found = bytes.length < bodyAt ? `${bytes.length} bytes` : `format version ${bytes[versionAt]}`
    throw new IntegrityError(
      `online value: ${found}, expected format version ${formatVersion}. Load the group again with this version of Asof.`,
    )
  }
  const tombstone = ((bytes[flagsAt] ?? 0) & tombstoneFlag) !== 0
  return {
    tag: tombstone ? null : bytes.toString('hex', tagAt, timestampAt),
    eventTimestampMicros: bytes.readBigInt64BE(timestampAt),
  }
}

/** Decodes the body of a value that is no tombstone. @throws IntegrityError where it does not fit the schema. */
export function decodeBody(schema: ValueSchema, bytes: Buffer): FeatureValue[] {
  try {
    return readBody(schema, bytes)
  } catch (error) {
    if (error instanceof RangeError) throw misfit(schema, 'more bytes', undefined)
    throw error
  }
}

function readBody(schema: ValueSchema, bytes: Buffer): FeatureValue[] {
  const { features } = schema
  const length = features.length < 16 ? (bytes[bodyAt] ?? 0) ^ 0x90 : bytes.readUInt16BE(bodyAt + 1)
  if (length !== features.length) throw misfit(schema, `an array of ${features.length}`, bytes[bodyAt])
  let at = bodyAt + arrayHeaderSize(length)
  return features.map(({ name, type }) => {
    const mark = bytes[at]
    if (mark === 0xc0) {
      at += 1
      return null
    }
    if (type === 'string') {
      const [start, end] = stringBounds(bytes, at)
      if (start === at || end > bytes.length) throw misfit(schema, `${name}: string`, mark)
      at = end
      return bytes.toString('utf8', start, end)
    }
    if (!fits(type, mark)) throw misfit(schema, `${name}: ${type}`, mark)
    const value = readFixed(bytes, type, at)
    at += fixedSize[type]
    return value
  })
}

const markOf = { int32: 0xd2, float32: 0xca, int64: 0xd3, timestamp: 0xd3, float64: 0xcb } as const

function fits(type: Exclude<FeatureType, 'string'>, mark: number | undefined): boolean {
  return type === 'boolean' ? mark === 0xc2 || mark === 0xc3 : mark === markOf[type]
}

function readFixed(bytes: Buffer, type: Exclude<FeatureType, 'string'>, at: number): FeatureValue {
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

/** Where a string's bytes start and end; both `at` where there is no string. */
function stringBounds(bytes: Buffer, at: number): [start: number, end: number] {
  const mark = bytes[at] ?? 0
  if ((mark & 0xe0) === 0xa0) return [at + 1, at + 1 + (mark & 0x1f)]
  if (mark === 0xd9) return [at + 2, at + 2 + bytes.readUInt8(at + 1)]
  if (mark === 0xda) return [at + 3, at + 3 + bytes.readUInt16BE(at + 1)]
  if (mark === 0xdb) return [at + 5, at + 5 + bytes.readUInt32BE(at + 1)]
  return [at, at]
}

function misfit({ tag }: ValueSchema, expected: string, mark: number | undefined): IntegrityError {
  const found = mark === undefined ? 'nothing' : `0x${mark.toString(16)}`
  return new IntegrityError(
    `online value with schema ${tag}: expected ${expected}, found ${found}. Load the group again.`,
    { tag },
  )
}
