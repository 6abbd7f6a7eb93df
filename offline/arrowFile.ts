/**
 * A Parquet file as an Arrow IPC file: the same rows in their order, in record batches of 65,536, of which memory holds one.
 *
 * | DuckDB | Arrow |
 * |---|---|
 * | VARCHAR | Utf8 |
 * | BIGINT, UINTEGER | Int64 |
 * | INTEGER and what fits into it | Int32 |
 * | DOUBLE, FLOAT, BOOLEAN | Float64, Float32, Bool |
 * | TIMESTAMP WITH TIME ZONE | Timestamp(microsecond, UTC) |
 * | a list | List of what its elements are |
 * | anything else | Utf8: DuckDB's text of it |
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import {
  DuckDBListValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBDataChunk,
  type DuckDBValue,
} from '@duckdb/node-api'
import {
  AsyncByteQueue,
  Bool,
  DataType,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  makeBuilder,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
  type Builder,
  type Data,
} from 'apache-arrow'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { IntegrityError } from '../model/errors.ts'
import { fitsInt32, type Column } from './columnType.ts'

const batchRows = 65_536

export interface ArrowRequest {
  /** As DuckDB opens it. */
  readonly parquetPath: string
  /** What is in it. */
  readonly columns: readonly Column[]
  readonly rows: number
  /** Where the Arrow file goes; one that is there is overwritten. */
  readonly path: string
  readonly signal?: AbortSignal
}

/**
 * @param connection of a DuckDB that keeps the order of rows
 * @returns the SHA-256 of the file's bytes, in hex
 * @throws IntegrityError where the Parquet file gave other rows than it has; the Arrow file is of no use then
 */
export async function writeArrow(connection: DuckDBConnection, request: ArrowRequest): Promise<string> {
  const { columns, path, signal } = request
  const schema = new Schema(columns.map(({ name, type }) => new Field(name, arrowType(type), true)))
  const hash = createHash('sha256')
  const file = await open(path, 'w')
  try {
    const writer = new RecordBatchFileWriter()
    const pending = new Pending()
    const writePending = async () => {
      const bytes = pending.take()
      hash.update(bytes)
      await file.writeFile(bytes)
    }
    writer.reset(pending, schema)
    for await (const batch of readBatches(connection, schema, request)) {
      signal?.throwIfAborted()
      writer.write(batch)
      await writePending()
    }
    writer.finish()
    await writePending()
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}

/** What the writer has made and nobody has taken yet: its own queue would grow as long as the disk is slower. */
class Pending extends AsyncByteQueue {
  private chunks: Uint8Array[] = []

  override write(chunk: Uint8Array): void {
    this.chunks.push(chunk)
  }

  take(): Uint8Array {
    const all = Buffer.concat(this.chunks)
    this.chunks = []
    return all
  }
}

async function* readBatches(
  connection: DuckDBConnection,
  schema: Schema,
  { parquetPath, columns, rows }: ArrowRequest,
): AsyncGenerator<RecordBatch> {
  const read = columns.map(({ name, type }) => `CAST(${quoteIdentifier(name)} AS ${readAs(type)})`)
  const result = await connection.stream(
    `SELECT ${['file_row_number', ...read].join(', ')} FROM read_parquet(${quoteLiteral(parquetPath)}, file_row_number = true)`,
  )
  const builders = typesOf(schema).map((type) => makeBuilder({ type: builtAs(type), nullValues: [null] }))
  let [done, waiting] = [0, 0]
  for await (const chunk of result) {
    for (let from = 0; from < chunk.rowCount;) {
      const to = Math.min(chunk.rowCount, from + batchRows - waiting)
      append(builders, chunk, { from, to, place: done + waiting - from })
      waiting += to - from
      from = to
      if (waiting < batchRows) continue
      yield batchOf(schema, builders, waiting)
      done += waiting
      waiting = 0
    }
  }
  if (waiting > 0) yield batchOf(schema, builders, waiting)
  // DuckDB's streams swallow errors: a short one is noticed here.
  if (done + waiting !== rows) {
    throw new IntegrityError(
      `Only ${done + waiting} of ${rows} rows of ${parquetPath} could be read. Try again.`,
    )
  }
}

/** @param place of the chunk's first row in the file */
function append(
  builders: readonly Builder<DataType>[],
  chunk: DuckDBDataChunk,
  { from, to, place }: { from: number; to: number; place: number },
): void {
  const places = chunk.getColumnVector(0)
  for (let row = from; row < to; row++) {
    if (places.getItem(row) === BigInt(place + row)) continue
    throw new IntegrityError(
      `Row ${String(places.getItem(row))} of a Parquet file came where row ${place + row} was expected. Read it with a DuckDB that keeps the order of rows.`,
    )
  }
  for (const [at, builder] of builders.entries()) {
    const values = chunk.getColumnVector(at + 1)
    for (let row = from; row < to; row++) builder.append(built(values.getItem(row)))
  }
}

function built(value: DuckDBValue): unknown {
  if (value instanceof DuckDBListValue) return value.items.map(built)
  return value instanceof DuckDBTimestampTZValue ? value.micros : value
}

function batchOf(schema: Schema, builders: readonly Builder<DataType>[], length: number): RecordBatch {
  const children = typesOf(schema).map((type, at) =>
    calledAs(type, (builders[at] as Builder<DataType>).flush()),
  )
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }),
  )
}

const scalars: Readonly<Record<string, DataType>> = {
  BIGINT: new Int64(),
  DOUBLE: new Float64(),
  FLOAT: new Float32(),
  BOOLEAN: new Bool(),
  'TIMESTAMP WITH TIME ZONE': new TimestampMicrosecond('UTC'),
}

const elementOf = (type: string) => /^(.+)\[\d*\]$/s.exec(type)?.[1]

function arrowType(type: string): DataType {
  const element = elementOf(type)
  if (element !== undefined) return listOf(arrowType(element))
  const wider = readAs(type)
  return scalars[wider] ?? (wider === 'INTEGER' ? new Int32() : new Utf8())
}

/** As which of DuckDB's types a column is read. */
function readAs(type: string): string {
  const element = elementOf(type)
  if (element !== undefined) return `${readAs(element)}[]`
  if (fitsInt32(type)) return 'INTEGER'
  if (type === 'UINTEGER') return 'BIGINT'
  return Object.hasOwn(scalars, type) ? type : 'VARCHAR'
}

const typesOf = ({ fields }: Schema) => fields.map((field: Field<DataType>) => field.type)

/** Of a list's elements; null for any other type. */
const listedType = (type: DataType): DataType | null =>
  DataType.isList(type) ? (type as List<DataType>).valueType : null

const listOf = (element: DataType) => new List(new Field('item', element, true))

/** The library's builders take instants in milliseconds and would round them: they are built as integers. */
function builtAs(type: DataType): DataType {
  const element = listedType(type)
  if (element !== null) return listOf(builtAs(element))
  return DataType.isTimestamp(type) ? new Int64() : type
}

function calledAs(type: DataType, data: Data): Data {
  const element = listedType(type)
  const children =
    element === null ? data.children : data.children.map((child: Data) => calledAs(element, child))
  return data.clone(type, data.offset, data.length, data.nullCount, data.buffers, children)
}
