/**
 * A column of a chunk as DuckDB lays it out in memory: whole vectors at once, where a call for each value would cost more
 * than all that is done with it. The memory is the chunk's: it is copied while the chunk is held.
 */
import bindings from '@duckdb/node-bindings'
import type { DuckDBDataChunk } from '@duckdb/node-api'

export type Numbers = Float64Array | BigInt64Array

/** How DuckDB stores a string or blob: its length in four bytes, then up to twelve bytes of it; of longer ones a pointer. */
const stringBytes = 16
export const inlineBytes = 12

export class RawVector {
  private readonly data: Uint8Array
  /** A bit for each row, 0 where it is null; null where no row is. */
  private readonly validity: Uint8Array | null

  constructor({ chunk, rowCount }: DuckDBDataChunk, column: number, bytesOfRow: 8 | typeof stringBytes) {
    const vector = bindings.data_chunk_get_vector(chunk, column)
    this.data = bindings.vector_get_data(vector, rowCount * bytesOfRow)
    // Null where there is no mask, though its type does not say so.
    this.validity = bindings.vector_get_validity(vector, Math.ceil(rowCount / 64) * 8)
  }

  /** Of a DOUBLE; what stands in place of a null is anything. */
  get doubles(): Float64Array {
    return new Float64Array(this.data.buffer, this.data.byteOffset, this.data.byteLength / 8)
  }

  /** Of a BIGINT; what stands in place of a null is anything. */
  get integers(): BigInt64Array {
    return new BigInt64Array(this.data.buffer, this.data.byteOffset, this.data.byteLength / 8)
  }

  /** Of a VARCHAR or BLOB of at most twelve bytes: four words a row, the length and three with the bytes. */
  get words(): Uint32Array {
    return new Uint32Array(this.data.buffer, this.data.byteOffset, this.data.byteLength / 4)
  }

  /** Calls back for each row that is null, of those from one on. */
  eachNull(from: number, length: number, found: (row: number) => void): void {
    if (this.validity === null) return
    for (let row = from; row < from + length; row++) {
      if ((((this.validity[row >> 3] as number) >> (row & 7)) & 1) === 0) found(row)
    }
  }
}

export const numbersAt = (chunk: DuckDBDataChunk, column: number): RawVector =>
  new RawVector(chunk, column, 8)

export const stringsAt = (chunk: DuckDBDataChunk, column: number): RawVector =>
  new RawVector(chunk, column, stringBytes)
