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
  readonly files: readonly Pick<DataFile, 'filePath'>[]
  /** What DuckDB should open for a location. */
  readonly localPath: (location: string) => string
  /** Which columns, and in which order; all of the schema's by default. */
  readonly columns?: readonly string[]
}

/** SQL of a relation, in brackets, with those columns; it has no rows where there are no files. */
export function readDataFiles({ schema, files, localPath, columns }: ReadOptions): string {
  const fields = columns ? columns.map((name) => fieldNamed(schema, name)) : schema.fields
  if (files.length === 0) {
    const empty = fields.map(
      ({ name, type }) => `CAST(NULL AS ${duckdbType(type)}) AS ${quoteIdentifier(name)}`,
    )
    return `(SELECT ${empty.join(', ')} WHERE false)`
  }
  const names = fields.map(({ name }) => quoteIdentifier(name)).join(', ')
  const paths = files.map(({ filePath }) => quoteLiteral(localPath(filePath))).join(', ')
  // Paths such as day=2001-01-08/ would otherwise be taken for columns.
  return `(SELECT ${names} FROM read_parquet([${paths}], hive_partitioning = false, schema = ${readSchema(fields)}))`
}
