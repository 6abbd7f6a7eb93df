/** How files of a training set are written. */
import { withoutDictionaries } from '../iceberg/duckdb/writer.ts'

// Level 1, as PyArrow has it: of DuckDB's 3 the files of a set of doubles are no smaller, and take half as long again.
const compressed = ['FORMAT parquet', 'COMPRESSION zstd', 'COMPRESSION_LEVEL 1']

/** A part, in encodings that every reader of Parquet has. @param types of all columns, as DuckDB writes them */
export function partWrittenAs(types: readonly string[]): string {
  const hasFloats = types.some((type) => /\b(DOUBLE|FLOAT)\b/.test(type))
  return [...compressed, ...(hasFloats ? [withoutDictionaries] : [])].join(', ')
}

/**
 * Kept labels, which DuckDB alone reads, several times over: the encodings of version 2 take half of the time to write, two
 * thirds to read, and a fifth less room.
 */
export const labelsWrittenAs = [...compressed, 'PARQUET_VERSION v2', withoutDictionaries].join(', ')
