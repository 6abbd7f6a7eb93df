/** The columns of one block of a content hash (`contentHash.ts`): how each comes into JavaScript, is kept and digested. */
import { createHash, type Hash } from 'node:crypto'
import type { DuckDBDataChunk } from '@duckdb/node-api'
import type { Column } from './columnType.ts'
import { RawNumbers, RawTexts, type Numbers } from './rawVector.ts'

/** How the values of a column come into JavaScript. */
export interface ReadColumn {
  readonly column: Column
  readonly kind: 'double' | 'integer' | 'text'
  /** SQL of what is read. */
  readonly selected: string
}

/** @param name what SQL calls the column */
export function readColumn(column: Column, name: string): ReadColumn {
  const { type } = column
  if (type === 'DOUBLE' || type === 'FLOAT') {
    return { column, kind: 'double', selected: `CAST(${name} AS DOUBLE)` }
  }
  if (type === 'TIMESTAMP WITH TIME ZONE') return { column, kind: 'integer', selected: `epoch_us(${name})` }
  if (/^(BIGINT|INTEGER|SMALLINT|TINYINT|UINTEGER|USMALLINT|UTINYINT|BOOLEAN)$/.test(type)) {
    return { column, kind: 'integer', selected: `CAST(${name} AS BIGINT)` }
  }
  return { column, kind: 'text', selected: `CAST(${name} AS VARCHAR)` }
}

/** The values of a block's rows, as far as they have come. */
export abstract class BlockColumn {
  private readonly column: Column
  protected readonly nulls: Uint8Array
  /** How many of the values are null. */
  nullCount = 0
  /** The number of the chunk's column that it reads. */
  protected readonly number: number

  constructor(column: Column, number: number, size: number) {
    this.column = column
    this.number = number
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

/** @param number of the chunk's column that it reads */
export function blockColumn({ column, kind }: ReadColumn, number: number, size: number): BlockColumn {
  if (kind === 'text') return new TextColumn(column, number, size)
  return new NumberColumn(
    column,
    number,
    kind === 'double' ? new Float64Array(size) : new BigInt64Array(size),
  )
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength)

class NumberColumn extends BlockColumn {
  private readonly values: Numbers

  constructor(column: Column, number: number, values: Numbers) {
    super(column, number, values.length)
    this.values = values
  }

  override take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const vector = new RawNumbers(chunk, this.number)
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

/** The UTF-8 of neighbouring rows. */
interface Texts {
  readonly place: number
  readonly utf8: Uint8Array
}

class TextColumn extends BlockColumn {
  private readonly lengths: Uint32Array
  private texts: Texts[] = []

  constructor(column: Column, number: number, size: number) {
    super(column, number, size)
    this.lengths = new Uint32Array(size)
  }

  override take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    const vector = new RawTexts(chunk, this.number)
    for (let row = 0; row < length; row++) this.lengths[place + row] = vector.lengthAt(at + row)
    vector.eachNull(at, length, (row) => {
      this.noteNull(place + row - at)
    })
    this.texts.push({ place, utf8: vector.utf8(at, length) })
  }

  protected override update(hash: Hash): void {
    const present = this.nullCount > 0 ? this.lengths.filter((_, row) => this.nulls[row] === 0) : this.lengths
    hash.update(bytesOf(present))
    for (const { utf8 } of this.texts.sort((a, b) => a.place - b.place)) hash.update(utf8)
  }

  override clear(): void {
    super.clear()
    this.texts = []
  }
}
