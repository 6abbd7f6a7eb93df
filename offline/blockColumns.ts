/** The columns of one block of a content hash (`contentHash.ts`): how each comes into JavaScript and is digested. */
import { createHash, type Hash } from 'node:crypto'
import type { DuckDBDataChunk } from '@duckdb/node-api'
import type { Column } from './columnType.ts'
import { RawNumbers, RawTexts } from './rawVector.ts'

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

/** A block's column, digested as its rows come. */
export abstract class BlockColumn {
  /** A bit a row, the lowest first, 1 where it is null. */
  private readonly nulls: Uint8Array
  /** How many of the values are null. */
  nullCount = 0
  private readonly hash: Hash
  /** The number of the chunk's column that it reads. */
  private readonly number: number
  private next = 0
  /** Bytes of rows that came before their turn, by their place. */
  private readonly waiting = new Map<number, { readonly bytes: Uint8Array; readonly length: number }>()

  constructor({ name, type }: Column, number: number, size: number) {
    this.number = number
    this.nulls = new Uint8Array(Math.ceil(size / 8))
    this.hash = createHash('sha256').update(`${name}\0${type}\0`)
  }

  /** Takes rows of a chunk, from one on, for the block's rows from a place on. */
  take(chunk: DuckDBDataChunk, at: number, length: number, place: number): void {
    this.waiting.set(place, {
      bytes: this.bytesOf(chunk, { column: this.number, at, length, place }),
      length,
    })
    for (let one = this.waiting.get(this.next); one !== undefined; one = this.waiting.get(this.next)) {
      this.waiting.delete(this.next)
      this.hash.update(one.bytes)
      this.next += one.length
    }
  }

  /** Of all rows, once they have come. */
  digest(): string {
    this.update?.(this.hash)
    return this.hash.update(this.nulls).digest('hex')
  }

  /** The values' bytes; notes which are null. */
  protected abstract bytesOf(chunk: DuckDBDataChunk, taken: Taken): Uint8Array

  /** What comes between values and nulls. */
  protected update?(hash: Hash): void

  protected noteNull(row: number): void {
    this.nulls[row >> 3] = (this.nulls[row >> 3] as number) | (1 << (row & 7))
    this.nullCount++
  }

  protected isNull(row: number): boolean {
    return (((this.nulls[row >> 3] as number) >> (row & 7)) & 1) === 1
  }
}

/** Rows of a chunk. */
interface Taken {
  readonly column: number
  readonly at: number
  readonly length: number
  /** In the block. */
  readonly place: number
}

/** @param number of the chunk's column that it reads */
export function blockColumn({ column, kind }: ReadColumn, number: number, size: number): BlockColumn {
  if (kind === 'text') return new TextColumn(column, number, size)
  return kind === 'double' ? new DoubleColumn(column, number, size) : new IntegerColumn(column, number, size)
}

class IntegerColumn extends BlockColumn {
  protected override bytesOf(chunk: DuckDBDataChunk, { column, at, length, place }: Taken): Uint8Array {
    const vector = new RawNumbers(chunk, column)
    const bytes = vector.bytes(at, length)
    vector.eachNull(at, length, (row) => {
      bytes.fill(0, 8 * (row - at), 8 * (row - at) + 8)
      this.noteNull(place + row - at)
    })
    return bytes
  }
}

class DoubleColumn extends IntegerColumn {
  protected override bytesOf(chunk: DuckDBDataChunk, taken: Taken): Uint8Array {
    const bytes = super.bytesOf(chunk, taken)
    canonicalNaN(new Float64Array(bytes.buffer, bytes.byteOffset, taken.length))
    return bytes
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

class TextColumn extends BlockColumn {
  private readonly lengths: Uint32Array

  constructor(column: Column, number: number, size: number) {
    super(column, number, size)
    this.lengths = new Uint32Array(size)
  }

  protected override bytesOf(chunk: DuckDBDataChunk, { column, at, length, place }: Taken): Uint8Array {
    const vector = new RawTexts(chunk, column)
    for (let row = 0; row < length; row++) this.lengths[place + row] = vector.lengthAt(at + row)
    vector.eachNull(at, length, (row) => {
      this.noteNull(place + row - at)
    })
    return vector.utf8(at, length)
  }

  protected override update(hash: Hash): void {
    const { lengths } = this
    const present = this.nullCount > 0 ? lengths.filter((_, row) => !this.isNull(row)) : lengths
    hash.update(new Uint8Array(present.buffer, present.byteOffset, present.byteLength))
  }
}
