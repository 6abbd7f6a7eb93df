/** Winners as rows of the online store, by column, in bounded batches. */
import {
  DuckDBListValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBDataChunk,
  type DuckDBValue,
  type DuckDBVector,
} from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/index.ts'
import { IntegrityError, shapeOf, type BoundGroup, type FeatureType } from '../model/index.ts'
import { chunksAhead, RawNumbers } from '../offline/index.ts'
import type { FeatureColumn, KeyValue, NumberColumn, OnlineColumns, ScalarValue } from '../online/index.ts'

/**
 * Reads the table of `selectWinners`. DuckDB's streams swallow errors, so what is streamed is a finished temporary
 * table, and the rows are counted against it.
 *
 * @param batchRows how many rows a batch has at least, but for the last; DuckDB's chunks (2,048 rows) stay whole
 */
export async function* onlineRowsOf(
  connection: DuckDBConnection,
  winners: string,
  bound: BoundGroup,
  batchRows: number,
): AsyncGenerator<OnlineColumns> {
  const features = bound.features.map(({ name, type }) =>
    type === 'timestamp' ? microsOf(name) : quoteIdentifier(name),
  )
  const pieces = await keyPieces(connection, winners, bound)
  const columns = [
    microsOf('event_timestamp'),
    ...features,
    ...bound.keys.flatMap(({ name }, at) => keyColumns(name, pieces[at] ?? 1)),
  ]
  const result = await connection.stream(`SELECT ${columns.join(', ')} FROM ${quoteIdentifier(winners)}`)
  let streamed = 0
  let batch: DuckDBDataChunk[] = []
  for await (const chunk of chunksAhead(result)) {
    batch.push(chunk)
    streamed += chunk.rowCount
    if (lengthOf(batch) < batchRows) continue
    yield columnsFrom(batch, bound, pieces)
    batch = []
  }
  if (batch.length > 0) yield columnsFrom(batch, bound, pieces)
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${quoteIdentifier(winners)}`)
  if (counted.getRows()[0]?.[0] !== BigInt(streamed)) {
    throw new IntegrityError(
      `${bound.group.id}: only ${streamed} of the winners could be read. The load is not complete.`,
    )
  }
}

/** An instant as microseconds, for which the binding makes no object. */
const microsOf = (name: string) => `epoch_us(${quoteIdentifier(name)})`

/**
 * A string of up to twelve bytes lies in DuckDB's vector itself; for a longer one the binding makes an external buffer,
 * which costs more than all the rest of a row. So keys come in pieces of twelve characters, and the last with what is left.
 */
const pieceLength = 12
const mostPieces = 4

/** In how many pieces each of the keys is read. */
async function keyPieces(
  connection: DuckDBConnection,
  winners: string,
  { keys }: BoundGroup,
): Promise<number[]> {
  const lengths = keys.map(({ name, type }) =>
    type === 'string' ? `max(length(${quoteIdentifier(name)}))` : '0',
  )
  const longest = await connection.runAndReadAll(
    `SELECT ${lengths.join(', ')} FROM ${quoteIdentifier(winners)}`,
  )
  const [row = []] = longest.getRows()
  return row.map((length) => Math.min(mostPieces, Math.max(1, Math.ceil(Number(length) / pieceLength))))
}

function keyColumns(name: string, pieces: number): string[] {
  const column = quoteIdentifier(name)
  if (pieces === 1) return [column]
  return Array.from({ length: pieces }, (_, at) => {
    const length = at + 1 < pieces ? `, ${pieceLength}` : ''
    return `substr(${column}, ${at * pieceLength + 1}${length})`
  })
}

function columnsFrom(
  chunks: readonly DuckDBDataChunk[],
  { features }: BoundGroup,
  pieces: readonly number[],
): OnlineColumns {
  const length = lengthOf(chunks)
  let next = 1 + features.length
  return {
    length,
    eventTimestampMicros: numberColumn(chunks, 0, new BigInt64Array(length)),
    features: features.map(({ type }, at) => featureColumn(chunks, 1 + at, type, length)),
    keys: pieces.map((count) => {
      const column = keyColumn(chunks, next, count, length)
      next += count
      return column
    }),
  }
}

/** The values of a key, whose pieces stand in neighbouring columns. */
function keyColumn(
  chunks: readonly DuckDBDataChunk[],
  at: number,
  count: number,
  length: number,
): KeyValue[] {
  const values = new Array<KeyValue>(length)
  let start = 0
  for (const chunk of chunks) {
    const { rowCount } = chunk
    for (let piece = 0; piece < count; piece++) {
      const vector = chunk.getColumnVector(at + piece) as DuckDBVector<KeyValue>
      for (let row = 0; row < rowCount; row++) {
        const value = vector.getItem(row) as KeyValue
        values[start + row] = piece === 0 ? value : `${values[start + row] as string}${value as string}`
      }
    }
    start += rowCount
  }
  return values
}

const lengthOf = (chunks: readonly DuckDBDataChunk[]) =>
  chunks.reduce((rows, { rowCount }) => rows + rowCount, 0)

function featureColumn(
  chunks: readonly DuckDBDataChunk[],
  at: number,
  type: FeatureType,
  length: number,
): FeatureColumn {
  if (type === 'float64') return numberColumn(chunks, at, new Float64Array(length))
  if (type === 'int64' || type === 'timestamp') return numberColumn(chunks, at, new BigInt64Array(length))
  const values = plainColumn(chunks, at)
  if (shapeOf(type).kind === 'scalar') return values as ScalarValue[]
  return values.map((value) => (value instanceof DuckDBListValue ? value.items.map(scalarValue) : null))
}

/** Copies a column into `items`. Instants come as integers too: see `microsOf`. */
function numberColumn<Items extends Float64Array | BigInt64Array>(
  chunks: readonly DuckDBDataChunk[],
  at: number,
  items: Items,
): NumberColumn<Items> {
  let nulls: Uint8Array | null = null
  let start = 0
  for (const chunk of chunks) {
    const { rowCount } = chunk
    const vector = new RawNumbers(chunk, at)
    if (items instanceof Float64Array) items.set(vector.doubles, start)
    else items.set(vector.integers, start)
    vector.eachNull(0, rowCount, (row) => {
      nulls ??= new Uint8Array(items.length)
      nulls[start + row] = 1
    })
    start += rowCount
  }
  return { items, nulls }
}

const plainColumn = (chunks: readonly DuckDBDataChunk[], at: number): DuckDBValue[] =>
  chunks.flatMap((chunk) => chunk.getColumnValues(at))

function scalarValue(value: DuckDBValue): ScalarValue {
  return value instanceof DuckDBTimestampTZValue ? value.micros : (value as ScalarValue)
}
