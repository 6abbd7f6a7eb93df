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
import type { DuckDBConnection } from '@duckdb/node-api'
import { IntegrityError } from '../model/errors.ts'
import type { Column } from './columnType.ts'

export const blockRows = 65_536
/** Rows in JavaScript at once, of one column. */
const rowsAtOnce = 16 * blockRows

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
  const blocks = Array.from({ length: Math.max(1, Math.ceil(rows / blockRows)) }, (): string[] => [])
  for (const [place, column] of columns.entries()) {
    if (rows === 0) blocks[0]?.push(digestOf(column, noValues, 0, 0))
    for (let from = 0; from < rows; from += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, rows - from)
      const values = await readColumn(connection, numbered, { ...column, as: `c${place}` }, { from, count })
      for (let at = 0; at < count; at += blockRows) {
        const size = Math.min(blockRows, count - at)
        blocks[(from + at) / blockRows]?.push(digestOf(column, values, at, size))
      }
    }
  }
  return blocks.map((digests) => digests.join(''))
}

/** The hash of the whole, from the digests of its blocks in order. */
export const contentHash = (digests: readonly string[]): string =>
  createHash('sha256').update(digests.join('')).digest('hex')

interface ColumnValues {
  readonly nulls: Uint8Array
  readonly values: Float64Array | BigInt64Array | string[]
}

const noValues: ColumnValues = { nulls: new Uint8Array(0), values: [] }

/** How a type's values come into JavaScript: which SQL, and as what. */
function wayOf(type: string): { sql: (name: string) => string; kind: 'double' | 'integer' | 'text' } {
  if (type === 'DOUBLE' || type === 'FLOAT')
    return { kind: 'double', sql: (name) => `CAST(${name} AS DOUBLE)` }
  if (/^(BIGINT|INTEGER|SMALLINT|TINYINT|UINTEGER|USMALLINT|UTINYINT|BOOLEAN)$/.test(type)) {
    return { kind: 'integer', sql: (name) => `CAST(${name} AS BIGINT)` }
  }
  if (type === 'TIMESTAMP WITH TIME ZONE') return { kind: 'integer', sql: (name) => `epoch_us(${name})` }
  return { kind: 'text', sql: (name) => `CAST(${name} AS VARCHAR)` }
}

/** Chunks come in any order, so every row says its place. */
async function readColumn(
  connection: DuckDBConnection,
  relation: string,
  { name, type, as }: Column & { readonly as: string },
  { from, count }: { from: number; count: number },
): Promise<ColumnValues> {
  const { sql, kind } = wayOf(type)
  const result = await connection.stream(
    `SELECT place - ${from}, ${sql(as)} FROM ${relation} WHERE place >= ${from} AND place < ${from + count}`,
  )
  const nulls = new Uint8Array(count)
  const values =
    kind === 'double'
      ? new Float64Array(count)
      : kind === 'integer'
        ? new BigInt64Array(count)
        : new Array<string>(count).fill('')
  let read = 0
  for await (const chunk of result) {
    const [places, column] = [chunk.getColumnVector(0), chunk.getColumnVector(1)]
    for (let at = 0; at < chunk.rowCount; at++) {
      const place = Number(places.getItem(at))
      const value = column.getItem(at) as number | bigint | string | null
      if (value === null) nulls[place] = 1
      else values[place] = value
    }
    read += chunk.rowCount
  }
  if (read !== count) {
    throw new IntegrityError(`Only ${read} of ${count} values of column ${name} could be read. Try again.`)
  }
  return { nulls, values }
}

function digestOf({ name, type }: Column, { nulls, values }: ColumnValues, at: number, size: number): string {
  const hash = createHash('sha256')
  hash.update(`${name}\0${type}\0`)
  hash.update(nulls.subarray(at, at + size))
  if (Array.isArray(values)) updateTexts(hash, nulls, values, at, size)
  else {
    const some = values.subarray(at, at + size)
    if (some instanceof Float64Array) canonicalNaN(some)
    hash.update(new Uint8Array(some.buffer, some.byteOffset, some.byteLength))
  }
  return hash.digest('hex')
}

/** Storing NaN writes the one pattern that JavaScript has for all of them. */
function canonicalNaN(values: Float64Array): void {
  for (let at = 0; at < values.length; at++) if (Number.isNaN(values[at])) values[at] = NaN
}

function updateTexts(
  hash: Hash,
  nulls: Uint8Array,
  texts: readonly string[],
  at: number,
  size: number,
): void {
  const lengths = new Uint32Array(size)
  const parts: string[] = []
  for (let row = 0; row < size; row++) {
    if (nulls[at + row] === 1) continue
    const text = texts[at + row] as string
    lengths[parts.length] = Buffer.byteLength(text)
    parts.push(text)
  }
  hash.update(new Uint8Array(lengths.buffer, 0, 4 * parts.length))
  hash.update(parts.join(''), 'utf8')
}
