/** How files of a training set are written. */

/**
 * DuckDB's dictionaries take 0 and -0, and any two NaN, for the same value, so a file with floats has none: see
 * `iceberg/duckdb/writer.ts`.
 *
 * @param types of all columns, as DuckDB writes them
 */
export const writtenAs = (types: readonly string[]): string =>
  `FORMAT parquet, COMPRESSION zstd${types.some((type) => /\b(DOUBLE|FLOAT)\b/.test(type)) ? ', DICTIONARY_SIZE_LIMIT 0' : ''}`
