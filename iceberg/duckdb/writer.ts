/**
 * Writes the rows of a relation into Parquet data files, one for each partition, in the asked order.
 *
 * The rows are first laid down once in a temporary table that knows each row's partition, sorted by it, so that one
 * COPY for each partition reads only its own part; COPY's own PARTITION_BY does not keep an order inside its files.
 * A COPY that fails can leave a file that looks complete: give every attempt a directory of its own.
 */
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { makeFolder } from '../fileio/makeFolder.ts'
import { duckdbType, fieldIds, fieldNamed } from '../schema.ts'
import { InvalidInput } from '../singleValue.ts'
import type { DataFile, PartitionSpec, PrimitiveType, Schema } from '../types.ts'
import { stagePartitions, type Partition } from './partitions.ts'
import { quoteIdentifier, quoteLiteral } from './quote.ts'
import { fileStatistics } from './statistics.ts'

export interface WriteOptions {
  readonly schema: Schema
  readonly spec: PartitionSpec
  /** SQL of a relation (a quoted table, or a query in brackets) whose columns are named as the schema's. */
  readonly relation: string
  /** Columns that order the rows inside each file. */
  readonly orderBy: readonly string[]
  /** The location that the files go to, one of this attempt alone; it is made if it is missing. */
  readonly directory: string
  /** What the file system calls a location. */
  readonly localPath: (location: string) => string
  /**
   * File names are `<prefix>-00000.parquet`, `<prefix>-00001.parquet`, …; a prefix that is used twice in one directory
   * overwrites. By default it is a new UUID.
   */
  readonly fileNamePrefix?: string
}

/**
 * One data file for each partition that has rows. Columns are cast to the schema's types; columns that it lacks are
 * left out. Refuses a timestamp without a zone where the schema wants an instant, and what fileStatistics refuses.
 */
export async function writeDataFiles(
  connection: DuckDBConnection,
  options: WriteOptions,
): Promise<DataFile[]> {
  const { schema, spec, relation, directory, localPath, fileNamePrefix = randomUUID() } = options
  await checkColumns(connection, schema, relation)
  await makeFolder(localPath(directory))
  const casts = schema.fields.map(
    ({ name, type }) => `CAST(${quoteIdentifier(name)} AS ${duckdbType(type)}) AS ${quoteIdentifier(name)}`,
  )
  const rows = `(SELECT ${casts.join(', ')} FROM ${relation})`
  const target = { ...options, fileNamePrefix }
  const files =
    spec.fields.length === 0
      ? await writeFile(connection, target, { rows, condition: 'true', partition: {}, number: 0 })
      : await writePartitions(connection, target, rows)
  await flushToDisk([...files.map(({ filePath }) => filePath), directory].map(localPath))
  return files
}

type Target = WriteOptions & { readonly fileNamePrefix: string }

async function writePartitions(
  connection: DuckDBConnection,
  target: Target,
  rows: string,
): Promise<DataFile[]> {
  const stage = quoteIdentifier(`iceberg_stage_${randomUUID()}`)
  try {
    const files: DataFile[] = []
    for (const [number, partition] of (await stagePartitions(connection, target, rows, stage)).entries()) {
      files.push(...(await writeFile(connection, target, { rows: stage, ...partition, number })))
    }
    return files
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${stage}`)
  }
}

/** A cast from one kind of timestamp to another would read the session's time zone into the data. */
async function checkColumns(connection: DuckDBConnection, schema: Schema, relation: string): Promise<void> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${relation}`)
  const types = new Map(described.getRows().map((row) => [String(row[0]).toLowerCase(), String(row[1])]))
  for (const { name, type } of schema.fields) {
    const found = types.get(name.toLowerCase())
    if (found === undefined) {
      throw new InvalidInput(
        `The rows have no column ${JSON.stringify(name)}, but ${[...types.keys()].join(', ')}.`,
      )
    }
    const zoned = found === 'TIMESTAMP WITH TIME ZONE'
    if (type === 'timestamptz' ? !zoned : zoned && type !== 'string') {
      throw new InvalidInput(
        `Column ${JSON.stringify(name)} is ${found}, the table's is ${duckdbType(type)}. Convert it with AT TIME ZONE, which names the zone.`,
      )
    }
  }
}

/** One file of those rows for which the condition holds; none where there are none. */
async function writeFile(
  connection: DuckDBConnection,
  target: Target,
  { rows, condition, partition, number }: Partition & { readonly rows: string; readonly number: number },
): Promise<DataFile[]> {
  const { schema, spec, orderBy, directory, localPath, fileNamePrefix } = target
  const filePath = `${directory.replace(/\/+$/, '')}/${fileNamePrefix}-${String(number).padStart(5, '0')}.parquet`
  const names = schema.fields.map(({ name }) => quoteIdentifier(name)).join(', ')
  const order = orderBy.map((name) => quoteIdentifier(fieldNamed(schema, name).name)).join(', ')
  const copied = await connection.runAndReadAll(
    `COPY (SELECT ${names} FROM ${rows} WHERE ${condition}${order && ` ORDER BY ${order}`}) TO ${quoteLiteral(localPath(filePath))} ` +
      `(FORMAT parquet, COMPRESSION zstd, ${dictionaries(schema)}FIELD_IDS ${fieldIds(schema)}, RETURN_STATS, WRITE_EMPTY_FILE false)`,
  )
  return copied.getRowObjects().map((row): DataFile => ({
    filePath,
    partition,
    specId: spec['spec-id'],
    recordCount: BigInt(String(row['count'])),
    fileSizeInBytes: BigInt(String(row['file_size_bytes'])),
    ...fileStatistics(schema, row['column_statistics'] ?? null),
  }))
}

/**
 * How COPY is told to keep the bits of floats. DuckDB's dictionaries take 0 and -0, and any two NaN, for the same value and
 * keep whichever came first (its issue 25781, open in 1.5.5). They can only be forbidden for a whole file: a limit of 0, and
 * not of 1, does that.
 */
export const withoutDictionaries = 'DICTIONARY_SIZE_LIMIT 0'

function dictionaries({ fields }: Schema): string {
  const isFloat = (type: PrimitiveType) => type === 'float' || type === 'double'
  const hasFloats = fields.some(({ type }) => isFloat(typeof type === 'string' ? type : type.element))
  return hasFloats ? `${withoutDictionaries}, ` : ''
}

/** DuckDB leaves that to the system; a commit is durable, and must never name a file that a power cut took. */
async function flushToDisk(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const file = await open(path, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
}
