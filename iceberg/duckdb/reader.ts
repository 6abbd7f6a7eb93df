/**
 * The rows of data files as a relation in SQL. Columns are found by their field ids, so that a file written before a
 * column was added, renamed or widened reads like any other.
 *
 *     `SELECT count(*) FROM ${readDataFiles({ schema, files, localPath: (location) => fileIO.localPath(location) })}`
 */
import { fieldNamed, duckdbType, readSchema } from '../schema.ts'
import type { DataFile, Schema } from '../types.ts'
import { quoteIdentifier, quoteLiteral } from './quote.ts'

export interface ReadOptions {
  readonly schema: Schema
  readonly files: readonly Pick<DataFile, 'filePath' | 'recordCount'>[]
  /** What DuckDB should open for a location. */
  readonly localPath: (location: string) => string
  /** Which columns, and in which order; all of the schema's by default. */
  readonly columns?: readonly string[]
  /** One more column, a BIGINT that tells rows apart: see `RowPlace`. */
  readonly rowPlace?: RowPlace
}

/**
 * Where a row stands: the number of its file, and from the lowest bit on the row's number inside of the file. A file keeps
 * its number from one relation to the next, so that rows found in one can be taken from another.
 */
export interface RowPlace {
  readonly column: string
  /** One for each file, below 2^23. */
  readonly fileNumbers: readonly number[]
}

/** By how many bits a row's place is shifted to give the number of its file. */
export const rowPlaceBits = 40

/** SQL of a relation, in brackets, with those columns; it has no rows where there are no files. */
export function readDataFiles({ schema, files, localPath, columns, rowPlace }: ReadOptions): string {
  const fields = columns ? columns.map((name) => fieldNamed(schema, name)) : schema.fields
  if (files.length === 0) {
    const empty = fields.map(
      ({ name, type }) => `CAST(NULL AS ${duckdbType(type)}) AS ${quoteIdentifier(name)}`,
    )
    if (rowPlace) empty.push(`CAST(NULL AS BIGINT) AS ${quoteIdentifier(rowPlace.column)}`)
    return `(SELECT ${empty.join(', ')} WHERE false)`
  }
  const names = fields.map(({ name }) => quoteIdentifier(name))
  if (rowPlace) names.push(placeSql(rowPlace))
  const paths = files.map(({ filePath }) => quoteLiteral(localPath(filePath))).join(', ')
  const options = [
    // Paths such as day=2001-01-08/ would otherwise be taken for columns.
    'hive_partitioning = false',
    `schema = ${readSchema(fields)}`,
    // With a schema DuckDB takes every file for one of a thousand rows, and builds hash tables of the larger side of a join.
    `explicit_cardinality = ${files.reduce((rows, { recordCount }) => rows + recordCount, 0n)}`,
  ]
  return `(SELECT ${names.join(', ')} FROM read_parquet([${paths}], ${options.join(', ')}))`
}

function placeSql({ column, fileNumbers }: RowPlace): string {
  const shifted = fileNumbers.map((number) => BigInt(number) << BigInt(rowPlaceBits))
  return `CAST([${shifted.join(', ')}] AS BIGINT[])[CAST(file_index AS BIGINT) + 1] + file_row_number AS ${quoteIdentifier(column)}`
}
