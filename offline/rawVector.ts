/**
 * A column of a chunk as DuckDB lays it out in memory: whole vectors at once, where a call for each value would cost more
 * than all that is done with it. The memory is the chunk's: it is copied while the chunk is held.
 */
import bindings from '@duckdb/node-bindings'
import type { DuckDBDataChunk } from '@duckdb/node-api'

class RawVector {
  protected readonly data: Uint8Array
  /** A bit for each row, 0 where it is null; null where no row is. */
  private readonly validity: Uint8Array | null

  constructor({ chunk, rowCount }: DuckDBDataChunk, column: number, bytesOfRow: number) {
    const vector = bindings.data_chunk_get_vector(chunk, column)
    this.data = bindings.vector_get_data(vector, rowCount * bytesOfRow)
    // Null where there is no mask, though its type does not say so.
    this.validity = bindings.vector_get_validity(vector, Math.ceil(rowCount / 64) * 8)
  }

  /** Calls back for each row that is null, of those from one on. */
  eachNull(from: number, length: number, found: (row: number) => void): void {
    if (this.validity === null) return
    for (let row = from; row < from + length; row++) {
      // Most have no null among their eight.
      if ((row & 7) === 0 && this.validity[row >> 3] === 255) row += 7
      else if (this.isNull(row)) found(row)
    }
  }

  protected isNull(row: number): boolean {
    return this.validity !== null && (((this.validity[row >> 3] as number) >> (row & 7)) & 1) === 0
  }
}

/** A DOUBLE or BIGINT; what stands in place of a null is anything. */
export class RawNumbers extends RawVector {
  constructor(chunk: DuckDBDataChunk, column: number) {
    super(chunk, column, 8)
  }

  /** Of these rows, eight each. */
  bytes(from: number, length: number): Uint8Array {
    return this.data.subarray(8 * from, 8 * (from + length))
  }

  get doubles(): Float64Array {
    return new Float64Array(this.data.buffer, this.data.byteOffset, this.data.byteLength / 8)
  }

  get integers(): BigInt64Array {
    return new BigInt64Array(this.data.buffer, this.data.byteOffset, this.data.byteLength / 8)
  }
}

/**
 * How DuckDB stores a text: its length in four bytes, then up to twelve bytes of it; of a longer one its first four, and a
 * pointer to all of it in eight.
 */
const textBytes = 16
const inlineBytes = 12
const [inlineOffset, pointerOffset] = [4, 8]

/** A VARCHAR. */
export class RawTexts extends RawVector {
  /** Four of each row. */
  private readonly words: Uint32Array

  constructor(chunk: DuckDBDataChunk, column: number) {
    super(chunk, column, textBytes)
    this.words = new Uint32Array(this.data.buffer, this.data.byteOffset, this.data.byteLength / 4)
  }

  /** In bytes; 0 for null. */
  lengthAt(row: number): number {
    return this.isNull(row) ? 0 : (this.words[4 * row] as number)
  }

  /**
   * The UTF-8 of these rows, one after the other. Longer texts lie side by side in a few places of DuckDB's memory, of which
   * each is read at once.
   */
  utf8(from: number, length: number): Uint8Array {
    const to = from + length
    let size = 0
    for (let row = from; row < to; row++) size += this.lengthAt(row)
    const all = new Uint8Array(size)
    let end = 0
    for (let row = from; row < to; row++) {
      const bytes = this.lengthAt(row)
      if (bytes <= inlineBytes) {
        const first = textBytes * row + inlineOffset
        for (let at = 0; at < bytes; at++) all[end + at] = this.data[first + at] as number
        end += bytes
        continue
      }
      const next = this.endOfNeighbours(row, to)
      const read = this.read(row, next.bytes)
      if (next.bytes === size) return read
      all.set(read, end)
      end += next.bytes
      row = next.row - 1
    }
    return all
  }

  /** The first row behind longer texts that lie side by side from this one on, and how many bytes they are. */
  private endOfNeighbours(from: number, to: number): { row: number; bytes: number } {
    const first = this.pointerAt(from)
    let bytes = this.lengthAt(from)
    let row = from + 1
    for (; row < to; row++) {
      const next = this.lengthAt(row)
      if (next <= inlineBytes || this.pointerAt(row) !== first + bytes) break
      bytes += next
    }
    return { row, bytes }
  }

  /** An address has fewer than 53 bits. */
  private pointerAt(row: number): number {
    return (this.words[4 * row + 2] as number) + (this.words[4 * row + 3] as number) * 2 ** 32
  }

  private read(row: number, bytes: number): Uint8Array {
    const { buffer, byteOffset } = this.data
    return bindings.get_data_from_pointer(
      buffer as ArrayBuffer,
      byteOffset + textBytes * row + pointerOffset,
      bytes,
    )
  }
}
