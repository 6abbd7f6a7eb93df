/** How files of a training set are written. */
import { withoutDictionaries } from '../iceberg/duckdb/writer.ts'

/** @param types of all columns, as DuckDB writes them */
export function writtenAs(types: readonly string[]): string {
  const hasFloats = types.some((type) => /\b(DOUBLE|FLOAT)\b/.test(type))
  return ['FORMAT parquet', 'COMPRESSION zstd', ...(hasFloats ? [withoutDictionaries] : [])].join(', ')
}
