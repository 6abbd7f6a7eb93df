/** How files of a training set are written. */
import { withoutDictionaries } from '../iceberg/duckdb/writer.ts'

/** @param types of all columns, as DuckDB writes them */
export function writtenAs(types: readonly string[]): string {
  const hasFloats = types.some((type) => /\b(DOUBLE|FLOAT)\b/.test(type))
  // Level 1, as PyArrow has it: of DuckDB's 3 the files of a set of doubles are no smaller, and take half as long again.
  return [
    'FORMAT parquet',
    'COMPRESSION zstd',
    'COMPRESSION_LEVEL 1',
    ...(hasFloats ? [withoutDictionaries] : []),
  ].join(', ')
}
