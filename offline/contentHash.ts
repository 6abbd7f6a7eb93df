/**
 * A hash of what a Parquet file says, which does not depend on who wrote it or how: of its values in their order, column by
 * column. Anybody can compute it again with a SHA-256.
 *
 * The rows are cut into blocks of 65,536, of which the last may be shorter; no rows are one block of none. A column's digest
 * of a block is the SHA-256, in lower-case hex, of these bytes, one after the other:
 *
 * | what | as |
 * |---|---|
 * | name and type | UTF-8, with a zero byte behind each; the type as DuckDB's DESCRIBE calls it |
 * | which values are null | one byte a row, 1 for null, else 0 |
 * | DOUBLE and FLOAT | 8 bytes a row, little-endian: the bits of the double (NaN is always 7ff8000000000000); zeros for null |
 * | BIGINT, INTEGER, SMALLINT, TINYINT, UINTEGER, USMALLINT, UTINYINT, BOOLEAN and TIMESTAMP WITH TIME ZONE (its microseconds) | 8 bytes a row, little-endian: the signed 64-bit integer; zeros for null |
 * | VARCHAR | of the values that are not null first all lengths in bytes (4 bytes each, little-endian), then all UTF-8 |
 * | anything else | as VARCHAR: DuckDB's text of it |
 *
 * The hash of the whole is the SHA-256, in hex, of all those hex digests joined as text, block by block and in a block column
 * by column.
 */
import { createHash, type Hash } from 'node:crypto'
import type { DuckDBConnection, DuckDBDataChunk, DuckDBVector } from '@duckdb/node-api'
import { IntegrityError } from '../model/errors.ts'
import type { Column } from './columnType.ts'

export const blockRows = 65_536
/** Columns in JavaScript at once: of each the rows of a few blocks. */
const columnsAtOnce = 16

/**
 * Digests of a file's blocks, each of all columns in their order.
 *
 * @param relation SQL of the rows: first a row's place, from 0, then the columns in their order
 * @param rows how many there are
 */
export async function blockDigests(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly Column[],
  rows: number,
): Promise<string[]> {
  // Called by their number, since any of them may itself be called as the place is.
  const numbered = `${relation} AS numbered(place, ${columns.map((_, at) => `c${at}`).join(', ')})`
  const count = Math.max(1, Math.ceil(rows / blockRows))
  const digests = Array.from({ length: count }, (): string[] => [])
  for (let from = 0; from < columns.length; from += columnsAtOnce) {
    const some = columns.slice(from, from + columnsAtOnce)
    const found = await digestsOf(connection, numbered, { columns: some, from, rows, count })
    found.forEach((ofBlock, block) => digests[block]?.push(...ofBlock))
  }
  return digests.map((ofBlock) => ofBlock.join(''))
}

/** The hash of the whole, from the digests of its blocks in order. */
export const contentHash = (digests: readonly string[]): string =>
  createHash('sha256').update(digests.join('')).digest('hex')

/** How a type's values come into JavaScript. */
type Kind = 'double' | 'integer' | 'text'

function kindOf(type: string): Kind {
  if (type === 'DOUBLE' || type === 'FLOAT') return 'double'
  const integers =
    /^(BIGINT|INTEGER|SMALLINT|TINYINT|UINTEGER|USMALLINT|UTINYINT|BOOLEAN|TIMESTAMP WITH TIME ZONE)$/
  return integers.test(type) ? 'integer' : 'text'
}

function valueSql(type: string, name: string): string {
  if (type === 'TIMESTAMP WITH TIME ZONE') return `epoch_us(${name})`
  const types: Record<Kind, string> = { double: 'DOUBLE', integer: 'BIGINT', text: 'VARCHAR' }
  return `CAST(${name} AS ${types[kindOf(type)]})`
}

interface SomeColumns {
  readonly columns: readonly Column[]
  /** The number of the first of them. */
  readonly from: number
  readonly rows: number
  /** How many blocks there are. */
  readonly count: number
}

/**
 * Chunks come in any order, but of a scan each holds neighbouring rows: a block takes its share of a chunk at once, and is
 * digested as soon as it is full, so that only a few are open at a time.
 */
async function digestsOf(
  connection: DuckDBConnection,
  numbered: string,
  { columns, from, rows, count }: SomeColumns,
): Promise<string[][]> {
  const selected = columns.map(({ type }, at) => valueSql(type, `c${from + at}`))
  const result = await connection.stream(
    `SELECT ${['CAST(place AS DOUBLE)', ...selected].join(', ')} FROM ${numbered}`,
  )
  const digests = new Array<string[]>(count)
  const open = new Map<number, Block>()
  const blockAt = (number: number) => {
    const there = open.get(number)
    if (there !== undefined) return there
    const made = new Block(columns, Math.min(blockRows, rows - number * blockRows))
    open.set(number, made)
    return made
  }
  if (rows === 0) digests[0] = new Block(columns, 0).digests()
  let read = 0
  for await (const chunk of result) {
    const vectors = columns.map((_, at) => chunk.getColumnVector(1 + at))
    for (const { place, at, length } of runsOf(chunk)) {
      const number = Math.floor(place / blockRows)
      const block = blockAt(number)
      block.take(vectors, at, length, place - number * blockRows)
      if (!block.isFull) continue
      digests[number] = block.digests()
      open.delete(number)
    }
    read += chunk.rowCount
  }
  // DuckDB's streams swallow errors: a short one is noticed here.
  if (read === rows && open.size === 0) return digests
  throw new IntegrityError(`Only ${read} of ${rows} rows could be read for their hash. Try again.`)
}

interface Run {
  readonly place: number
  /** Where it begins in the chunk. */
  readonly at: number
  readonly length: number
}

/** Neighbouring rows of a chunk, cut at the ends of blocks. */
function* runsOf(chunk: DuckDBDataChunk): Generator<Run> {
  const places = chunk.getColumnVector(0) as DuckDBVector<number>
  const { rowCount } = chunk
  for (let at = 0; at < rowCount;) {
    const place = places.getItem(at) as number
    const most = Math.min(rowCount - at, blockRows - (place % blockRows))
    let length = 1
    while (length < most && places.getItem(at + length) === place + length) length++
    yield { place, at, length }
    at += length
  }
}

/** The rows of one block, as far as they have come. */
class Block {
  private readonly columns: readonly BlockColumn[]
  private readonly size: number
  private taken = 0

  constructor(columns: readonly Column[], size: number) {
    this.size = size
    this.columns = columns.map((column) => blockColumn(column, size))
  }

  get isFull(): boolean {
    return this.taken === this.size
  }

  take(vectors: readonly DuckDBVector[], at: number, length: number, place: number): void {
    this.columns.forEach((column, index) => {
      column.take(vectors[index] as never, at, length, place)
    })
    this.taken += length
  }

  digests(): string[] {
    return this.columns.map((column) => column.digest())
  }
}

interface BlockColumn {
  take(vector: never, at: number, length: number, place: number): void
  digest(): string
}

function blockColumn(column: Column, size: number): BlockColumn {
  const kind = kindOf(column.type)
  if (kind === 'text') return new TextColumn(column, size)
  return new NumberColumn(column, kind === 'double' ? new Float64Array(size) : new BigInt64Array(size))
}

function hashOf({ name, type }: Column, nulls: Uint8Array): Hash {
  return createHash('sha256').update(`${name}\0${type}\0`).update(nulls)
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength)

class NumberColumn<Items extends Float64Array | BigInt64Array> implements BlockColumn {
  private readonly column: Column
  private readonly nulls: Uint8Array
  private readonly values: Items

  constructor(column: Column, values: Items) {
    this.column = column
    this.nulls = new Uint8Array(values.length)
    this.values = values
  }

  take(vector: DuckDBVector<Items[number]>, at: number, length: number, place: number): void {
    for (let row = 0; row < length; row++) {
      const value = vector.getItem(at + row)
      if (value === null) this.nulls[place + row] = 1
      else this.values[place + row] = value
    }
  }

  digest(): string {
    if (this.values instanceof Float64Array) canonicalNaN(this.values)
    return hashOf(this.column, this.nulls).update(bytesOf(this.values)).digest('hex')
  }
}

/** Storing NaN by its name writes the one pattern that JavaScript has for all of them. */
function canonicalNaN(values: Float64Array): void {
  for (let at = 0; at < values.length; at++) if (Number.isNaN(values[at])) values[at] = NaN
}

class TextColumn implements BlockColumn {
  private readonly column: Column
  private readonly nulls: Uint8Array
  private readonly texts: string[]

  constructor(column: Column, size: number) {
    this.column = column
    this.nulls = new Uint8Array(size)
    this.texts = new Array<string>(size).fill('')
  }

  take(vector: DuckDBVector<string>, at: number, length: number, place: number): void {
    for (let row = 0; row < length; row++) {
      const value = vector.getItem(at + row)
      if (value === null) this.nulls[place + row] = 1
      else this.texts[place + row] = value
    }
  }

  digest(): string {
    const present = this.texts.filter((_, row) => this.nulls[row] === 0)
    const lengths = Uint32Array.from(present, (text) => Buffer.byteLength(text))
    return hashOf(this.column, this.nulls)
      .update(bytesOf(lengths))
      .update(present.join(''), 'utf8')
      .digest('hex')
  }
}
