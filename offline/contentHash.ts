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
 * | DOUBLE and FLOAT | 8 bytes a row, little-endian: the bits of the double (NaN is always 7ff8000000000000); zeros for null |
 * | BIGINT, INTEGER, SMALLINT, TINYINT, UINTEGER, USMALLINT, UTINYINT, BOOLEAN and TIMESTAMP WITH TIME ZONE (its microseconds) | 8 bytes a row, little-endian: the signed 64-bit integer; zeros for null |
 * | VARCHAR | of the values that are not null first all UTF-8, then all lengths in bytes (4 bytes each, little-endian) |
 * | anything else | as VARCHAR: DuckDB's text of it |
 * | which values are null | a bit a row, 1 for null: eight rows a byte, from its lowest bit on; zeros behind the last |
 *
 * The hash of the whole is the SHA-256, in hex, of all those hex digests joined as text, block by block and in a block column
 * by column.
 */
import { createHash } from 'node:crypto'
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { IntegrityError } from '../model/errors.ts'
import { blockColumn, readColumn, type BlockColumn, type ReadColumn } from './blockColumns.ts'
import type { Column } from './columnType.ts'
import { chunksAhead, withConnection, type DuckDb } from './duckdb.ts'
import { RawNumbers } from './rawVector.ts'

export const blockRows = 65_536
/** In hex digits. */
const digestLength = 64
/** DuckDB makes a stream's chunks on one thread, and they are asked for one by one: so each half of the rows has its own. */
const streamsAtOnce = 2
/** Of each column a chunk or two are in JavaScript at once; wider streams have fewer of them to ask for. */
const columnsOfStream = 16

export interface BlockDigests {
  /** For each block those of all columns, one behind the other. */
  readonly digests: readonly string[]
  /** For each column that was read how many of its values are null. */
  readonly nulls: readonly number[]
}

/**
 * Digests of a Parquet file's blocks, each of all columns in their order.
 *
 * @param path as DuckDB opens it
 * @param columns all of the file's, in their order
 * @param rows how many there are
 * @param known for each block the digests of its first columns, which are not read then; none of any by default
 */
export async function blockDigests(
  duckdb: DuckDb,
  path: string,
  columns: readonly Column[],
  rows: number,
  known: readonly string[] = [],
): Promise<BlockDigests> {
  // Called by their number, since any of them may itself be called as the place is.
  const numbered = `(SELECT file_row_number, * FROM read_parquet(${quoteLiteral(path)}, file_row_number = true)) AS numbered(place, ${columns.map((_, at) => `c${at}`).join(', ')})`
  const count = Math.max(1, Math.ceil(rows / blockRows))
  const read = columns.map((column, at) => readColumn(column, `c${at}`)).slice(columnsOf(known))
  const shares = Array.from({ length: Math.ceil(read.length / columnsOfStream) }, (_, share) => ({
    columns: read.slice(share * columnsOfStream, (share + 1) * columnsOfStream),
    digests: new Array<string[]>(count),
    nulls: new Array<number>(columnsOfStream).fill(0),
  }))
  const streams = shares.flatMap((share) => halvesOf(count).map((blocks) => ({ ...share, ...blocks, rows })))
  await eachOf(streams, streamsAtOnce, (stream) =>
    withConnection(duckdb, (connection) => digest(connection, numbered, stream)),
  )
  return {
    digests: Array.from({ length: count }, (_, block) =>
      [known[block] ?? '', ...shares.map(({ digests }) => digests[block]?.join(''))].join(''),
    ),
    nulls: shares.flatMap(({ columns: some, nulls }) => nulls.slice(0, some.length)),
  }
}

/** Numbers of blocks, from (inclusive) to (exclusive). */
function halvesOf(count: number): { from: number; to: number }[] {
  const half = Math.ceil(count / 2)
  return [
    { from: 0, to: half },
    { from: half, to: count },
  ].filter(({ from, to }) => from < to)
}

/** How many columns a block's digests are of. */
export const columnsOf = ([first = '']: readonly string[]): number => first.length / digestLength

/** Runs so many at once, and comes back once none is running any more. */
async function eachOf<Item>(
  items: readonly Item[],
  atOnce: number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < items.length) await run(items[next++] as Item)
  }
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, work))
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** The hash of the whole, from the digests of its blocks in order. */
export const contentHash = (digests: readonly string[]): string =>
  createHash('sha256').update(digests.join('')).digest('hex')

/** Some columns of some blocks. */
interface Stream {
  readonly columns: readonly ReadColumn[]
  /** The first block. */
  readonly from: number
  /** The block behind the last. */
  readonly to: number
  /** How many rows the whole file has. */
  readonly rows: number
  /** By block, those of these columns: filled. */
  readonly digests: string[][]
  /** By column: added to. */
  readonly nulls: number[]
}

/**
 * Chunks come in any order, but of a scan each holds neighbouring rows: a block takes its share of a chunk at once, and is
 * digested as soon as it is full, so that only a few are open at a time.
 */
async function digest(
  connection: DuckDBConnection,
  numbered: string,
  { columns, from, to, rows, digests, nulls }: Stream,
): Promise<void> {
  const selected = ['CAST(place AS DOUBLE)', ...columns.map((column) => column.selected)]
  const result = await connection.stream(
    `SELECT ${selected.join(', ')} FROM ${numbered} WHERE place >= ${from * blockRows} AND place < ${to * blockRows}`,
  )
  const open = new Map<number, Block>()
  const blockAt = (number: number) => {
    const there = open.get(number)
    if (there !== undefined) return there
    const made = new Block(columns, Math.min(blockRows, rows - number * blockRows))
    open.set(number, made)
    return made
  }
  if (rows === 0) digests[0] = new Block(columns, 0).digests()
  const expected = Math.min(rows, to * blockRows) - from * blockRows
  let read = 0
  for await (const chunk of chunksAhead(result)) {
    for (const { place, at, length } of runsOf(chunk)) {
      const number = Math.floor(place / blockRows)
      const block = blockAt(number)
      block.take(chunk, at, length, place - number * blockRows)
      if (!block.isFull) continue
      digests[number] = block.digests()
      block.columns.forEach(({ nullCount }, at) => (nulls[at] = (nulls[at] as number) + nullCount))
      open.delete(number)
    }
    read += chunk.rowCount
  }
  // DuckDB's streams swallow errors: a short one is noticed here.
  if (read === expected && open.size === 0) return
  throw new IntegrityError(`Only ${read} of ${expected} rows could be read for their hash. Try again.`)
}

interface Run {
  readonly place: number
  /** Where it begins in the chunk. */
  readonly at: number
  readonly length: number
}

/** Neighbouring rows of a chunk, cut at the ends of blocks. */
function* runsOf(chunk: DuckDBDataChunk): Generator<Run> {
  const places = new RawNumbers(chunk, 0).doubles
  for (let at = 0; at < places.length;) {
    const place = places[at] as number
    const most = Math.min(places.length - at, blockRows - (place % blockRows))
    let length = 1
    while (length < most && places[at + length] === place + length) length++
    yield { place, at, length }
    at += length
  }
}

/** One block, as far as its rows have come. */
class Block {
  readonly columns: readonly BlockColumn[]
  private readonly size: number
  private taken = 0

  constructor(columns: readonly ReadColumn[], size: number) {
    this.size = size
    // The first column of a chunk is its rows' places.
    this.columns = columns.map((column, at) => blockColumn(column, at + 1, size))
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
}
