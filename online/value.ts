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
 * without the body. The body is plain MessagePack that any library reads (body.ts).
 */
import { createHash } from 'node:crypto'
import { InputError, IntegrityError } from '../model/index.ts'
import { readBody, sizeOfBody, sizesOfBodies, writeBodies, writeBody } from './body.ts'
import { checkInt64, checkRow, type OnlineColumns } from './columns.ts'
import type { FeatureValue, LoadOrder, OnlineRow, StoredValue, ValueSchema } from './store.ts'

export const orderBytes = 16
export const versionAt = 16
export const flagsAt = 17
export const tagAt = 18
export const timestampAt = 22
export const bodyAt = 30
export const formatVersion = 1
export const tombstoneFlag = 1

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
 * @throws InputError where values are too few, too many, half a tombstone or not of their features' types; the message
 * names the feature
 */
export function encodeValue(schema: ValueSchema, order: Buffer, row: OnlineRow): Buffer {
  checkRow(schema.features, row)
  const { values, eventTimestampMicros: micros } = row
  const bytes = Buffer.allocUnsafe(bodyAt + (values === null ? 0 : sizeOfBody(schema.features, values)))
  const tag = Number.parseInt(schema.tag, 16)
  writeHeader(bytes, 0, order, tag, micros === null ? null : checkInt64(micros, 'event_timestamp'))
  if (values !== null) writeBody(bytes, schema.features, values, bodyAt)
  return bytes
}

/** Values one behind the other in one piece of memory: a buffer for each would cost more than its bytes. */
export interface EncodedValues {
  readonly bytes: Buffer
  /** Where each of them ends. */
  readonly ends: Uint32Array
}

/** Many values, column by column; the same bytes as `encodeValue` of each row. @throws InputError as it does */
export function encodeValues(schema: ValueSchema, order: Buffer, rows: OnlineColumns): EncodedValues {
  const { length, eventTimestampMicros, features } = rows
  const isTombstone = eventTimestampMicros.nulls ?? new Uint8Array(length)
  const sizes = sizesOfBodies(schema.features, features, isTombstone)
  const cursors = new Uint32Array(length)
  let size = 0
  for (let row = 0; row < length; row++) {
    cursors[row] = size
    size += bodyAt + (sizes[row] as number)
  }
  const bytes = Buffer.allocUnsafeSlow(size)
  const tag = Number.parseInt(schema.tag, 16)
  for (let row = 0; row < length; row++) {
    const micros = isTombstone[row] === 1 ? null : (eventTimestampMicros.items[row] as bigint)
    cursors[row] = writeHeader(bytes, cursors[row] as number, order, tag, micros)
  }
  writeBodies(bytes, schema.features, features, isTombstone, cursors)
  return { bytes, ends: cursors }
}

/** Writes a header at `at` and returns where the body begins. */
function writeHeader(bytes: Buffer, at: number, order: Buffer, tag: number, micros: bigint | null): number {
  bytes.set(order, at)
  bytes[at + versionAt] = formatVersion
  bytes[at + flagsAt] = micros === null ? tombstoneFlag : 0
  bytes.writeUInt32BE(micros === null ? 0 : tag, at + tagAt)
  bytes.writeBigInt64BE(micros ?? 0n, at + timestampAt)
  return at + bodyAt
}

/**
 * A value under a schema without its order: two are equal to the bit where these bytes are. A feature that the value's
 * own schema does not have is null, as it is in the table. Null where the value does not fit under the schema.
 */
export function encodeContent(schema: ValueSchema, value: StoredValue): Buffer | null {
  const { schema: own, values, eventTimestampMicros } = value
  const wanted = new Map(schema.features.map(({ name, type }) => [name, type]))
  const isStray = ({ name, type }: Features[number]) => wanted.get(name) !== type
  if (schemaTag(own.features) !== own.tag || own.features.some(isStray)) return null
  const byName = new Map(own.features.map(({ name }, at) => [name, values[at] ?? null]))
  const row = {
    keys: [],
    eventTimestampMicros,
    values: schema.features.map(({ name }) => byName.get(name) ?? null),
  }
  return encodeValue(schema, noOrder, row).subarray(orderBytes)
}

const noOrder = Buffer.alloc(orderBytes)

/** The 8 hex digits of a tag that is read as a number. */
export const tagText = (tag: number): string => tag.toString(16).padStart(8, '0')

/** What stands before the body. `tag` is null for a tombstone. */
export interface ValueHeader {
  readonly tag: string | null
  readonly eventTimestampMicros: bigint
}

/** @throws IntegrityError where the bytes are no value, or one of a format that this version does not know. */
export function decodeHeader(bytes: Buffer): ValueHeader {
  if (bytes.length < bodyAt || bytes[versionAt] !== formatVersion) throw refuseFormat(bytes)
  const tombstone = ((bytes[flagsAt] ?? 0) & tombstoneFlag) !== 0
  return {
    tag: tombstone ? null : bytes.toString('hex', tagAt, timestampAt),
    eventTimestampMicros: bytes.readBigInt64BE(timestampAt),
  }
}

/** What bytes are that are no value. */
export function refuseFormat(bytes: Buffer): IntegrityError {
  const found = bytes.length < bodyAt ? `${bytes.length} bytes` : `format version ${bytes[versionAt]}`
  return new IntegrityError(
    `online value: ${found}, expected format version ${formatVersion}. Load the group again with this version of Asof.`,
  )
}

/** Decodes the body of a value that is no tombstone. @throws IntegrityError where it does not fit the schema. */
export function decodeBody(schema: ValueSchema, bytes: Buffer): FeatureValue[] {
  return readBody(schema, bytes, bodyAt)
}
