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
import { quoteLiteral } from '../iceberg/duckdb/quote.ts'
import type { Column } from './columnType.ts'
import { chunksAhead, query, withConnection, type DuckDb } from './duckdb.ts'
import { inlineBytes, numbersAt, stringsAt, type Numbers } from './rawVector.ts'

export const blockRows = 65_536
/** DuckDB makes a stream's chunks on one thread, so two are read side by side. */
const streamsAtOnce = 2
/** Of each column the rows of a few blocks are in JavaScript at once. */
const columnsOfStream = 8

/**
 * Digests of a Parquet file's blocks, each of all columns in their order.
 *
 * @param path as DuckDB opens it
 * @param columns all of the file's, in their order
 * @param rows how many there are
 */
export async function blockDigests(
  duckdb: DuckDb,
  path: string,
  columns: readonly Column[],
  rows: number,
): Promise<string[]> {
  // Called by their number, since any of them may itself be called as the place is.
  const numbered = `(SELECT file_row_number, * FROM read_parquet(${quoteLiteral(path)}, file_row_number = true)) AS numbered(place, ${columns.map((_, at) => `c${at}`).join(', ')})`
  const count = Math.max(1, Math.ceil(rows / blockRows))
  const read = await withConnection(duckdb, (connection) => readColumns(connection, numbered, columns))
  const width = Math.min(columnsOfStream, Math.ceil(read.length / streamsAtOnce))
  const shares = Array.from({ length: Math.ceil(read.length / width) }, (_, at) =>
    read.slice(at * width, (at + 1) * width),
  )
  const found = await eachOf(shares, streamsAtOnce, (share) =>
    withConnection(duckdb, (connection) => digestsOf(connection, numbered, { columns: share, rows, count })),
  )
  return Array.from({ length: count }, (_, block) => found.map((share) => share[block]?.join('')).join(''))
}

/** Runs so many at once, and comes back once none is running any more. */
async function eachOf<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const work = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await run(items[at] as Item)
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, work))
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return results
}

/** The hash of the whole, from the digests of its blocks in order. */
export const contentHash = (digests: readonly string[]): string =>
  createHash('sha256').update(digests.join('')).digest('hex')

/** How the values of a column come into JavaScript. */
interface ReadColumn {
  readonly column: Column
  readonly kind: 'double' | 'integer' | 'pieces' | 'text'
  /** SQL of what is read. */
  readonly selected: readonly string[]
}

/** Text of so many pieces at most is read in pieces that lie in DuckDB's vectors themselves; longer text value by value. */
const mostPieces = 4

async function readColumns(
  connection: DuckDBConnection,
  numbered: string,
  columns: readonly Column[],
): Promise<ReadColumn[]> {
  const looks = columns.flatMap(({ type }, at) =>
    type === 'VARCHAR'
      ? [`max(strlen(c${at})) AS bytes${at}`, `bool_and(strlen(c${at}) = length(c${at})) AS ascii${at}`]
      : [],
  )
  const [look = {}] =
    looks.length === 0 ? [] : await query(connection, `SELECT ${looks.join(', ')} FROM ${numbered}`)
  return columns.map((column, at) => {
    const text = { longest: Number(look[`bytes${at}`] ?? 0), isAscii: look[`ascii${at}`] === true }
    return readColumn(column, `c${at}`, text)
  })
}

interface TextLook {
  /** In bytes. */
  readonly longest: number
  readonly isAscii: boolean
}

function readColumn(column: Column, name: string, { longest, isAscii }: TextLook): ReadColumn {
  const { type } = column
  if (type === 'DOUBLE' || type === 'FLOAT') {
    return { column, kind: 'double', selected: [`CAST(${name} AS DOUBLE)`] }
  }
  if (type === 'TIMESTAMP WITH TIME ZONE') return { column, kind: 'integer', selected: [`epoch_us(${name})`] }
  if (/^(BIGINT|INTEGER|SMALLINT|TINYINT|UINTEGER|USMALLINT|UTINYINT|BOOLEAN)$/.test(type)) {
    return { column, kind: 'integer', selected: [`CAST(${name} AS BIGINT)`] }
  }
  const pieces = Math.max(1, Math.ceil(longest / inlineBytes))
  if (type !== 'VARCHAR' || pieces > mostPieces) {
    return { column, kind: 'text', selected: [`CAST(${name} AS VARCHAR)`] }
  }
  const selected = Array.from({ length: pieces }, (_, piece) => {
    const first = piece * inlineBytes + 1
    // Letters are cut in a quarter of the time that bytes take.
    return isAscii
      ? `substr(${name}, ${first}, ${inlineBytes})`
      : `array_slice(encode(${name}), ${first}, ${first + inlineBytes - 1})`
  })
  return { column, kind: 'pieces', selected }
}

interface SomeColumns {
  readonly columns: readonly ReadColumn[]
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
  { columns, rows, count }: SomeColumns,
): Promise<string[][]> {
  const selected = columns.flatMap((column) => column.selected)
  const result = await connection.stream(
    `SELECT ${['CAST(place AS DOUBLE)', ...selected].join(', ')} FROM ${numbered}`,
  )
  const digests = new Array<string[]>(count)
  const open = new Map<number, Block>()
  const spare: Block[] = []
  const blockAt = (number: number) => {
    const there = open.get(number)
    if (there !== undefined) return there
    const size = Math.min(blockRows, rows - number * blockRows)
    const made = (size === blockRows ? spare.pop() : undefined) ?? new Block(columns, size)
    open.set(number, made)
    return made
  }
  if (rows === 0) digests[0] = new Block(columns, 0).digests()
  let read = 0
  for await (const chunk of chunksAhead(result)) {
    for (const { place, at, length } of runsOf(chunk)) {
      const number = Math.floor(place / blockRows)
      const block = blockAt(number)
      block.take(chunk, at, length, place - number * blockRows)
      if (!block.isFull) continue
      digests[number] = block.digests()
      open.delete(number)
      if (block.size < blockRows) continue
      block.clear()
      spare.push(block)
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
  const places = numbersAt(chunk, 0).doubles
  for (let at = 0; at < places.length; ) {
    const place = places[at] as number
    const most = Math.min(places.length - at, blockRows - (place % blockRows))
    let length = 1
    while (length < most && places[at + length] === place + length) length++
    yield { place, at, length }
    at += length
  }
}

/** The rows of one block, as far as they have come. */
class Block {
  private readonly columns: readonly BlockColumn[]
  readonly size: number
  private taken = 0

  constructor(columns: readonly ReadColumn[], size: number) {
    this.size = size
    let first = 1
    this.columns = columns.map((column) => {
      const made = blockColumn(column, first, size)
      first += column.selected.length
      return made
    })
  }

  get isFull(): boolean {
    return this.taken === this.size
  }

  take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    this.columns.forEach((column) => {
      column.take(chunk, at, length, place)
    })
    this.taken += length
  }

  digests(): string[] {
    return this.columns.map((column) => column.digest())
  }

  /** As it was before it took anything, for another block of its size. */
  clear(): void {
    this.taken = 0
    for (const column of this.columns) column.clear()
  }
}

interface BlockColumn {
  /** Takes rows of a chunk, from one on, for the block's rows from a place on. */
  take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void
  digest(): string
  clear(): void
}

/** @param first the number of the chunk's column that it reads, or of the first of them */
function blockColumn({ column, kind, selected }: ReadColumn, first: number, size: number): BlockColumn {
  if (kind === 'text') return new TextColumn(column, first, size)
  if (kind === 'pieces') return new PiecesColumn(column, first, selected.length, size)
  return new NumberColumn(
    column,
    first,
    kind === 'double' ? new Float64Array(size) : new BigInt64Array(size),
  )
}

function hashOf({ name, type }: Column, nulls: Uint8Array): Hash {
  return createHash('sha256').update(`${name}\0${type}\0`).update(nulls)
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength)

class NumberColumn implements BlockColumn {
  private readonly column: Column
  private readonly first: number
  private readonly nulls: Uint8Array
  private readonly values: Numbers

  constructor(column: Column, first: number, values: Numbers) {
    this.column = column
    this.first = first
    this.nulls = new Uint8Array(values.length)
    this.values = values
  }

  take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const vector = numbersAt(chunk, this.first)
    const { values } = this
    if (values instanceof Float64Array) values.set(vector.doubles.subarray(at, at + length), place)
    else values.set(vector.integers.subarray(at, at + length), place)
    const bytes = bytesOf(values)
    vector.eachNull(at, length, (row) => {
      const taken = place + row - at
      bytes.fill(0, 8 * taken, 8 * taken + 8)
      this.nulls[taken] = 1
    })
  }

  digest(): string {
    if (this.values instanceof Float64Array) canonicalNaN(this.values)
    return hashOf(this.column, this.nulls).update(bytesOf(this.values)).digest('hex')
  }

  clear(): void {
    this.nulls.fill(0)
  }
}

/** Storing NaN by its name writes the one pattern that JavaScript has for all of them. */
function canonicalNaN(values: Float64Array): void {
  for (let at = 0; at < values.length; at++) if (Number.isNaN(values[at])) values[at] = NaN
}

/** Text of which each value comes in a few pieces of at most twelve bytes. */
class PiecesColumn implements BlockColumn {
  private readonly column: Column
  private readonly first: number
  private readonly pieces: number
  private readonly nulls: Uint8Array
  private readonly lengths: Uint32Array
  /** Three words of each piece. */
  private readonly words: Uint32Array

  constructor(column: Column, first: number, pieces: number, size: number) {
    this.column = column
    this.first = first
    this.pieces = pieces
    this.nulls = new Uint8Array(size)
    this.lengths = new Uint32Array(size)
    this.words = new Uint32Array(size * pieces * 3)
  }

  take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const { pieces, lengths, words } = this
    for (let piece = 0; piece < pieces; piece++) {
      const vector = stringsAt(chunk, this.first + piece)
      const raw = vector.words
      for (let row = 0; row < length; row++) {
        const from = 4 * (at + row)
        const to = 3 * ((place + row) * pieces + piece)
        lengths[place + row] = (lengths[place + row] as number) + (raw[from] as number)
        words[to] = raw[from + 1] as number
        words[to + 1] = raw[from + 2] as number
        words[to + 2] = raw[from + 3] as number
      }
      // What stands in place of a null is anything.
      vector.eachNull(at, length, (row) => {
        const taken = place + row - at
        this.nulls[taken] = 1
        lengths[taken] = 0
      })
    }
  }

  digest(): string {
    const present = this.nulls.includes(1)
      ? this.lengths.filter((_, row) => this.nulls[row] === 0)
      : this.lengths
    return hashOf(this.column, this.nulls).update(bytesOf(present)).update(this.text()).digest('hex')
  }

  /** The values one after the other. Wherever one begins at a whole word, whole words are copied. */
  private text(): Uint8Array {
    const { lengths, words, pieces } = this
    const padded = bytesOf(words)
    let size = 0
    for (const length of lengths) size += length
    const copied = new Uint32Array(Math.ceil(size / 4))
    const text = bytesOf(copied)
    let end = 0
    for (let row = 0; row < lengths.length; row++) {
      const length = lengths[row] as number
      const first = row * pieces * 3
      if (end % 4 === 0) {
        const [to, count] = [end / 4, Math.ceil(length / 4)]
        for (let word = 0; word < count; word++) copied[to + word] = words[first + word] as number
      } else {
        for (let at = 0; at < length; at++) text[end + at] = padded[4 * first + at] as number
      }
      end += length
    }
    return text.subarray(0, size)
  }

  clear(): void {
    this.nulls.fill(0)
    this.lengths.fill(0)
  }
}

class TextColumn implements BlockColumn {
  private readonly column: Column
  private readonly first: number
  private readonly nulls: Uint8Array
  private readonly texts: string[]

  constructor(column: Column, first: number, size: number) {
    this.column = column
    this.first = first
    this.nulls = new Uint8Array(size)
    this.texts = new Array<string>(size).fill('')
  }

  take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const vector = chunk.getColumnVector(this.first) as DuckDBVector<string>
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

  clear(): void {
    this.nulls.fill(0)
    this.texts.fill('')
  }
}
