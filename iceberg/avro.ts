/**
 * Avro object container files, as manifests and manifest lists are: longs are bigints, and records are read by
 * Iceberg's field ids, since writers differ in names, order and nullability.
 *
 *     const { records } = await decodeContainer(bytes)
 *     records[0]?.get(500)          // the field with "field-id": 500
 */
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import avsc from 'avsc'
import { Corrupt, Unsupported } from './errors.ts'

export type AvroType = string | AvroPrimitive | AvroArray | AvroRecord | readonly AvroType[]

export interface AvroPrimitive {
  readonly type: string
  readonly logicalType?: string
  readonly 'adjust-to-utc'?: boolean
}

export interface AvroArray {
  readonly type: 'array'
  readonly items: AvroType
  readonly logicalType?: 'map'
  readonly 'element-id'?: number
}

export interface AvroField {
  readonly name: string
  readonly type: AvroType
  readonly default?: null
  readonly 'field-id': number
}

export interface AvroRecord {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly AvroField[]
}

export interface Container {
  /** The file's own key-value metadata. */
  readonly metadata: ReadonlyMap<string, string>
  readonly records: readonly RecordReader[]
}

/** The fields of a decoded record by their field ids; a field that the writer did not know is undefined. */
export class RecordReader {
  readonly #schema: AvroRecord
  readonly #values: Readonly<Record<string, unknown>>

  constructor(schema: AvroRecord, values: Readonly<Record<string, unknown>>) {
    this.#schema = schema
    this.#values = values
  }

  get(fieldId: number): unknown {
    const field = fieldById(this.#schema, fieldId)
    return field && this.#values[field.name]
  }

  /** A copy, so that a small value does not hold the whole file in memory; null where there is none. */
  bytes(fieldId: number): Uint8Array | null {
    const value = this.get(fieldId)
    return value instanceof Uint8Array ? new Uint8Array(value) : null
  }

  /** The record in that field. */
  record(fieldId: number): RecordReader {
    const field = fieldById(this.#schema, fieldId)
    const schema = field && recordOf(field.type)
    if (!schema) throw new Corrupt(`The Avro schema has no record with the field id ${fieldId}.`)
    return new RecordReader(schema, this.#values[field.name] as Record<string, unknown>)
  }

  /** The list of pairs in that field as a map by their keys, as Iceberg writes maps by field id; empty where there is none. */
  map<Value>(
    fieldId: number,
    keyId: number,
    valueId: number,
    read: (value: unknown) => Value,
  ): Map<number, Value> {
    const field = fieldById(this.#schema, fieldId)
    const pairs = field && (this.#values[field.name] as readonly Record<string, unknown>[] | null)
    const schema = field && itemRecordOf(field.type)
    const key = schema && fieldById(schema, keyId)?.name
    const value = schema && fieldById(schema, valueId)?.name
    const map = new Map<number, Value>()
    if (!pairs || key === undefined || value === undefined) return map
    for (const pair of pairs) map.set(pair[key] as number, read(pair[value]))
    return map
  }

  /** The records in that field's list; null where there is none. */
  list(fieldId: number): RecordReader[] | null {
    const field = fieldById(this.#schema, fieldId)
    const values = field && (this.#values[field.name] as readonly Record<string, unknown>[] | null)
    const schema = field && itemRecordOf(field.type)
    return values && schema ? values.map((value) => new RecordReader(schema, value)) : null
  }
}

const fieldsById = new WeakMap<AvroRecord, ReadonlyMap<number, AvroField>>()

function fieldById(schema: AvroRecord, fieldId: number): AvroField | undefined {
  const known = fieldsById.get(schema) ?? new Map(schema.fields.map((field) => [field['field-id'], field]))
  fieldsById.set(schema, known)
  return known.get(fieldId)
}

const alternatives = (type: AvroType): readonly AvroType[] => (isUnion(type) ? type : [type])
const isUnion = (type: AvroType): type is readonly AvroType[] => Array.isArray(type)

function recordOf(type: AvroType): AvroRecord | undefined {
  const isRecord = (option: AvroType): option is AvroRecord =>
    typeof option === 'object' && 'fields' in option
  return alternatives(type).find(isRecord)
}

function itemRecordOf(type: AvroType): AvroRecord | undefined {
  const isArray = (option: AvroType): option is AvroArray => typeof option === 'object' && 'items' in option
  const array = alternatives(type).find(isArray)
  return array && recordOf(array.items)
}

/** As Avro writes a long: zigzag, seven bits a byte, the least first. */
const longType = avsc.types.LongType.__with(
  {
    fromBuffer: readLong,
    toBuffer: (value: bigint) => {
      const bytes: number[] = []
      let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
      for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
      return Buffer.from([...bytes, Number(rest)])
    },
    fromJSON: BigInt,
    toJSON: Number,
    isValid: (value: unknown) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
    compare: (left: bigint, right: bigint) => (left === right ? 0 : left < right ? -1 : 1),
  },
  true,
)

/** Up to seven bytes are added up as a number, which holds 49 bits exactly and is much quicker than a bigint. */
function readLong(bytes: Buffer): bigint {
  if (bytes.length > 7) {
    let long = 0n
    for (const byte of bytes.toReversed()) long = (long << 7n) | BigInt(byte & 0x7f)
    return BigInt.asIntN(64, long & 1n ? ~(long >> 1n) : long >> 1n)
  }
  let number = 0
  for (let at = bytes.length - 1; at >= 0; at--) number = number * 128 + ((bytes[at] ?? 0) & 0x7f)
  return BigInt(number % 2 === 0 ? number / 2 : -(number + 1) / 2)
}

/** Compiling a schema takes as long as reading hundreds of records, and most files of a table have the same. */
const compiled = new Map<string, CompiledSchema>()
const mostCompiled = 100

interface CompiledSchema {
  readonly record: AvroRecord
  readonly type: avsc.Type
}

/** @throws Corrupt where the schema's text is not that of a record */
function compiledSchema(text: string): CompiledSchema {
  const known = compiled.get(text)
  if (known !== undefined) return known
  const schema = JSON.parse(text) as AvroType
  const record = recordOf(schema)
  if (!record) throw new Corrupt('The Avro file does not hold records.')
  const made = { record, type: typeOf(schema) }
  if (compiled.size >= mostCompiled) compiled.clear()
  compiled.set(text, made)
  return made
}

/** Longs with a logical type (timestamps) are longs like any other. */
function typeOf(schema: AvroType): avsc.Type {
  type ForSchema = Parameters<typeof avsc.Type.forSchema>
  return avsc.Type.forSchema(schema as ForSchema[0], {
    typeHook: (part) => {
      const name = typeof part === 'object' && 'type' in part ? part.type : part
      return name === 'long' ? longType : undefined
    },
    wrapUnions: 'never',
  })
}

const magic = Buffer.from('Obj\u0001', 'latin1')
const metadataType = avsc.Type.forSchema({ type: 'map', values: 'bytes' })
const syncLength = 16
/** Readers hold one block in memory. */
const recordsPerBlock = 1_000

/** A whole file, compressed with `deflate`. Values have the schema's field names; bytes are Buffers. */
export async function encodeContainer(
  schema: AvroRecord,
  records: readonly object[],
  metadata: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const { type } = compiledSchema(JSON.stringify(schema))
  const sync = randomBytes(syncLength)
  const header = { ...metadata, 'avro.schema': JSON.stringify(schema), 'avro.codec': 'deflate' }
  const headerBytes = Object.fromEntries(
    Object.entries(header).map(([key, text]) => [key, Buffer.from(text, 'utf8')]),
  )
  const parts = [magic, metadataType.toBuffer(headerBytes), sync]
  for (let first = 0; first < records.length; first += recordsPerBlock) {
    const block = records.slice(first, first + recordsPerBlock)
    const body = await deflate(Buffer.concat(block.map((record) => type.toBuffer(record))))
    parts.push(longType.toBuffer(BigInt(block.length)), longType.toBuffer(BigInt(body.length)), body, sync)
  }
  return Buffer.concat(parts)
}

const deflate = promisify<Buffer, Buffer>(deflateRaw)
const inflate = promisify<Buffer, Buffer>(inflateRaw)

/** @throws Corrupt where the bytes are no whole container file, Unsupported for a codec that is not known. */
export async function decodeContainer(bytes: Uint8Array): Promise<Container> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!buffer.subarray(0, magic.length).equals(magic)) throw new Corrupt('This is no Avro container file.')
  const header = metadataType.decode(buffer, magic.length)
  if (header.offset < 0 || header.offset + syncLength > buffer.length) {
    throw new Corrupt('The Avro header ends too early.')
  }
  const metadata = new Map(
    Object.entries(header.value as Record<string, Buffer>).map(([key, value]) => [
      key,
      value.toString('utf8'),
    ]),
  )
  const decompress = codecNamed(metadata.get('avro.codec') ?? 'null')
  const { record, type } = compiledSchema(metadata.get('avro.schema') ?? 'null')
  const sync = buffer.subarray(header.offset, header.offset + syncLength)
  const records: RecordReader[] = []
  for (let at = header.offset + syncLength; at < buffer.length;) {
    const block = blockAt(buffer, at, sync)
    const body = await decompress(block.body)
    let offset = 0
    for (let index = 0; index < block.count; index++) {
      const decoded = type.decode(body, offset)
      if (decoded.offset < 0)
        throw new Corrupt(`An Avro block ends after ${index} of ${block.count} records.`)
      offset = decoded.offset
      records.push(new RecordReader(record, decoded.value as Record<string, unknown>))
    }
    at = block.end
  }
  return { metadata, records }
}

function codecNamed(name: string): (bytes: Buffer) => Buffer | Promise<Buffer> {
  if (name === 'deflate') return inflate
  if (name === 'null') return (bytes) => bytes
  throw new Unsupported(`Avro's codec ${JSON.stringify(name)} is not supported. Use deflate or none.`)
}

function blockAt(buffer: Buffer, start: number, sync: Buffer): { count: number; body: Buffer; end: number } {
  const count = longType.decode(buffer, start)
  const size = longType.decode(buffer, count.offset < 0 ? buffer.length : count.offset)
  const bodyEnd = size.offset + Number(size.value)
  const end = bodyEnd + syncLength
  if (
    count.offset < 0 ||
    size.offset < 0 ||
    end > buffer.length ||
    !buffer.subarray(bodyEnd, end).equals(sync)
  ) {
    throw new Corrupt('An Avro block is torn: its sync marker is missing.')
  }
  return { count: Number(count.value), body: buffer.subarray(size.offset, bodyEnd), end }
}
