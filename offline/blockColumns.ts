/** The columns of one block of a content hash (`contentHash.ts`): how each comes into JavaScript, is kept and digested. */
import { createHash, type Hash } from 'node:crypto'
import type { DuckDBConnection, DuckDBDataChunk, DuckDBVector } from '@duckdb/node-api'
import type { Column } from './columnType.ts'
import { query } from './duckdb.ts'
import { inlineBytes, numbersAt, stringsAt, type Numbers } from './rawVector.ts'

/** How the values of a column come into JavaScript. */
export interface ReadColumn {
  readonly column: Column
  readonly kind: 'double' | 'integer' | 'pieces' | 'text'
  /** SQL of what is read. */
  readonly selected: readonly string[]
}

/** Text of so many pieces at most is read in pieces that lie in DuckDB's vectors themselves; longer text value by value. */
const mostPieces = 4

/** @param numbered SQL of the rows, with columns `c0`, `c1`, … */
export async function readColumns(
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

/** The values of a block's rows, as far as they have come. */
export abstract class BlockColumn {
  private readonly column: Column
  protected readonly nulls: Uint8Array
  /** How many of the values are null. */
  nullCount = 0
  /** The number of the chunk's column that it reads, or of the first of them. */
  protected readonly first: number

  constructor(column: Column, first: number, size: number) {
    this.column = column
    this.first = first
    this.nulls = new Uint8Array(size)
  }

  /** Takes rows of a chunk, from one on, for the block's rows from a place on. */
  abstract take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void

  protected abstract update(hash: Hash): void

  /** Of all rows. */
  digest(): string {
    const { name, type } = this.column
    const hash = createHash('sha256').update(`${name}\0${type}\0`).update(this.nulls)
    this.update(hash)
    return hash.digest('hex')
  }

  protected noteNull(row: number): void {
    this.nulls[row] = 1
    this.nullCount++
  }

  /** Makes it as it was before it took anything. */
  clear(): void {
    if (this.nullCount > 0) this.nulls.fill(0)
    this.nullCount = 0
  }
}

/** @param first the number of the chunk's column that it reads, or of the first of them */
export function blockColumn(
  { column, kind, selected }: ReadColumn,
  first: number,
  size: number,
): BlockColumn {
  if (kind === 'text') return new TextColumn(column, first, size)
  if (kind === 'pieces') return new PiecesColumn(column, first, selected.length, size)
  return new NumberColumn(column, first, kind === 'double' ? new Float64Array(size) : new BigInt64Array(size))
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength)

class NumberColumn extends BlockColumn {
  private readonly values: Numbers

  constructor(column: Column, first: number, values: Numbers) {
    super(column, first, values.length)
    this.values = values
  }

  override take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const vector = numbersAt(chunk, this.first)
    const { values } = this
    if (values instanceof Float64Array) values.set(vector.doubles.subarray(at, at + length), place)
    else values.set(vector.integers.subarray(at, at + length), place)
    const bytes = bytesOf(values)
    vector.eachNull(at, length, (row) => {
      const taken = place + row - at
      bytes.fill(0, 8 * taken, 8 * taken + 8)
      this.noteNull(taken)
    })
  }

  protected override update(hash: Hash): void {
    if (this.values instanceof Float64Array) canonicalNaN(this.values)
    hash.update(bytesOf(this.values))
  }
}

/** Storing NaN by its name writes the one pattern that JavaScript has for all of them. */
function canonicalNaN(values: Float64Array): void {
  if (!mayHaveNaN(values)) return
  for (let at = 0; at < values.length; at++) if (Number.isNaN(values[at])) values[at] = NaN
}

/** A sum with a NaN in it is one. Four of them side by side take a fraction of the time of as many comparisons. */
function mayHaveNaN(values: Float64Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0]
  const whole = values.length - (values.length % 4)
  for (let at = 0; at < whole; at += 4) {
    a += values[at] as number
    b += values[at + 1] as number
    c += values[at + 2] as number
    d += values[at + 3] as number
  }
  for (let at = whole; at < values.length; at++) a += values[at] as number
  return Number.isNaN(a + b + c + d)
}

/** Text of which each value comes in a few pieces of at most twelve bytes. */
class PiecesColumn extends BlockColumn {
  private readonly pieces: number
  private readonly lengths: Uint32Array
  /** Three words of each piece. */
  private readonly words: Uint32Array

  constructor(column: Column, first: number, pieces: number, size: number) {
    super(column, first, size)
    this.pieces = pieces
    this.lengths = new Uint32Array(size)
    this.words = new Uint32Array(size * pieces * 3)
  }

  override take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
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
        // Once, whatever the number of its pieces.
        if (piece === 0) this.noteNull(taken)
        lengths[taken] = 0
      })
    }
  }

  protected override update(hash: Hash): void {
    const present = this.nullCount > 0 ? this.lengths.filter((_, row) => this.nulls[row] === 0) : this.lengths
    hash.update(bytesOf(present)).update(this.text())
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

  override clear(): void {
    super.clear()
    this.lengths.fill(0)
  }
}

/** So many are joined: a call for each takes longer, and all of a block may be hundreds of megabytes. */
const textsAtOnce = 1_024

class TextColumn extends BlockColumn {
  private readonly texts: string[]

  constructor(column: Column, first: number, size: number) {
    super(column, first, size)
    this.texts = new Array<string>(size).fill('')
  }

  override take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const vector = chunk.getColumnVector(this.first) as DuckDBVector<string>
    for (let row = 0; row < length; row++) {
      const value = vector.getItem(at + row)
      if (value === null) this.noteNull(place + row)
      else this.texts[place + row] = value
    }
  }

  protected override update(hash: Hash): void {
    const present = this.texts.filter((_, row) => this.nulls[row] === 0)
    const lengths = Uint32Array.from(present, (text) => Buffer.byteLength(text))
    hash.update(bytesOf(lengths))
    for (let at = 0; at < present.length; at += textsAtOnce) {
      hash.update(present.slice(at, at + textsAtOnce).join(''), 'utf8')
    }
  }

  override clear(): void {
    super.clear()
    this.texts.fill('')
  }
}
