/** Winners as rows of the online store, in bounded batches. */
import {
  DuckDBListValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBDataChunk,
  type DuckDBValue,
} from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/index.ts'
import { IntegrityError, shapeOf, type BoundGroup, type FeatureType } from '../model/index.ts'
import type { FeatureValue, KeyValue, OnlineRow, ScalarValue } from '../online/index.ts'

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
): AsyncGenerator<OnlineRow[]> {
  const features = ['event_timestamp', ...bound.features.map(({ name }) => quoteIdentifier(name))]
  const pieces = await keyPieces(connection, winners, bound)
  const columns = [...features, ...bound.keys.flatMap(({ name }, at) => keyColumns(name, pieces[at] ?? 1))]
  const result = await connection.stream(`SELECT ${columns.join(', ')} FROM ${quoteIdentifier(winners)}`)
  let streamed = 0
  let batch: OnlineRow[] = []
  for await (const chunk of result) {
    appendRows(batch, chunk, bound, pieces)
    streamed += chunk.rowCount
    if (batch.length < batchRows) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${quoteIdentifier(winners)}`)
  if (counted.getRows()[0]?.[0] !== BigInt(streamed)) {
    throw new IntegrityError(
      `${bound.group.id}: only ${streamed} of the winners could be read. The load is not complete.`,
    )
  }
}

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

/** Column by column: what has to be done to a value is decided once for all of them. */
function appendRows(
  batch: OnlineRow[],
  chunk: DuckDBDataChunk,
  { features }: BoundGroup,
  pieces: readonly number[],
): void {
  const timestamps = chunk.getColumnValues(0).map(scalarValue) as (bigint | null)[]
  const columns = features.map(({ type }, at) => featureValues(type, chunk.getColumnValues(1 + at)))
  let next = 1 + features.length
  const keyValues = pieces.map((count) => {
    const [first = [], ...others] = Array.from({ length: count }, () => chunk.getColumnValues(next++))
    return others.reduce<KeyValue[]>(
      (starts, ends) => starts.map((start, row) => `${start}${ends[row] as string}`),
      first as KeyValue[],
    )
  })
  const read: WinnerColumns = { keys: keyValues, timestamps, features: columns }
  for (let row = 0; row < timestamps.length; row++) batch.push(new WinnerRow(read, row))
}

interface WinnerColumns {
  readonly keys: readonly (readonly KeyValue[])[]
  readonly timestamps: readonly (bigint | null)[]
  readonly features: readonly (readonly FeatureValue[])[]
}

/** Looks into the columns when it is asked: arrays that live as long as their batch cost more to collect than to make. */
class WinnerRow implements OnlineRow {
  readonly #columns: WinnerColumns
  readonly #row: number

  constructor(columns: WinnerColumns, row: number) {
    this.#columns = columns
    this.#row = row
  }

  get keys(): KeyValue[] {
    return this.#columns.keys.map((column) => column[this.#row] as KeyValue)
  }

  get eventTimestampMicros(): bigint | null {
    return this.#columns.timestamps[this.#row] ?? null
  }

  get values(): FeatureValue[] | null {
    if (this.eventTimestampMicros === null) return null
    const values: FeatureValue[] = []
    // Pushed one by one, so that V8 keeps an array of numbers as numbers, not as objects.
    for (const column of this.#columns.features) values.push(column[this.#row] as FeatureValue)
    return values
  }
}

function featureValues(type: FeatureType, values: DuckDBValue[]): readonly FeatureValue[] {
  const shape = shapeOf(type)
  if (shape.kind !== 'scalar')
    return values.map((value) => (value instanceof DuckDBListValue ? value.items.map(scalarValue) : null))
  return shape.scalar === 'timestamp' ? values.map(scalarValue) : (values as ScalarValue[])
}

function scalarValue(value: DuckDBValue): ScalarValue {
  return value instanceof DuckDBTimestampTZValue ? value.micros : (value as ScalarValue)
}
