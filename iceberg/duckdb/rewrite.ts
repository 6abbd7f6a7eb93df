/** What is left of a data file when ranges of time are cut out of it. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { fieldNamed } from '../schema.ts'
import type { DataFile, MicrosRange } from '../types.ts'
import { quoteIdentifier } from './quote.ts'
import { readDataFiles } from './reader.ts'
import { writeDataFiles, type WriteOptions } from './writer.ts'

export interface RewriteOptions extends Omit<WriteOptions, 'relation'> {
  readonly file: DataFile
  /** A timestamptz column. */
  readonly column: string
  readonly ranges: readonly MicrosRange[]
}

/**
 * Writes the file's rows that lie in none of the ranges (`after < v <= upTo`, microseconds) into new files; rows
 * without a value stay. No row left means no file.
 */
export function rewriteOutside(connection: DuckDBConnection, options: RewriteOptions): Promise<DataFile[]> {
  const { file, column, ranges, ...write } = options
  const value = quoteIdentifier(fieldNamed(write.schema, column).name)
  const outside = ranges.map(
    ({ after, upTo }) => `(${value} <= make_timestamptz(${after}) OR ${value} > make_timestamptz(${upTo}))`,
  )
  const condition = outside.length > 0 ? `${value} IS NULL OR (${outside.join(' AND ')})` : 'true'
  const rows = readDataFiles({ schema: write.schema, files: [file], localPath: write.localPath })
  return writeDataFiles(connection, { ...write, relation: `(SELECT * FROM ${rows} WHERE ${condition})` })
}
