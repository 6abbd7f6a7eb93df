/**
 * The floor of a training set that can be rebuilt and compared: the bare statement of `trainingSet.ts` with the least that a
 * content hash takes beside it. Labels are kept in their order, rows come in the order of the labels, and what was written
 * is read again into one SHA-256 a column. Written here, by hand, for one string key and doubles that are never NaN; it pins
 * nothing, counts nothing, and is as wrong of corrected rows as the bare statement.
 */
import { createHash } from 'node:crypto'
import bindings from '@duckdb/node-bindings'
import type { DuckDBConnection } from '@duckdb/node-api'

const names = Array.from({ length: 10 }, (_, at) => `f${at}`)
const blockRows = 65_536

export async function keptTrainingSetFloor(
  connection: DuckDBConnection,
  { labels, features, into }: { labels: string; features: readonly string[]; into: string },
): Promise<void> {
  const kept = `${into}.labels`
  const paths = features.map((file) => `'${file}'`).join(', ')
  await connection.run('SET preserve_insertion_order = true')
  await connection.run(
    `COPY (SELECT * FROM read_parquet('${labels}')) TO '${kept}' (FORMAT parquet, COMPRESSION zstd)`,
  )
  await connection.run('SET preserve_insertion_order = false')
  await hashNumbers(connection, kept, ['epoch_us(seen_at)', 'label'])
  await hashTexts(connection, kept, 'id')
  await connection.run(
    `COPY (
       SELECT labels.* EXCLUDE (file_row_number), ${names.join(', ')}
       FROM read_parquet('${kept}', file_row_number = true) AS labels
       ASOF LEFT JOIN read_parquet([${paths}]) AS features
       ON labels.id = features.id AND labels.seen_at >= features.created_timestamp
       ORDER BY labels.file_row_number
     ) TO '${into}' (FORMAT parquet, COMPRESSION zstd)`,
  )
  await hashNumbers(connection, into, names)
}

/** Columns of eight bytes a value, as they lie in DuckDB's vectors. */
async function hashNumbers(
  connection: DuckDBConnection,
  path: string,
  columns: readonly string[],
): Promise<string[]> {
  const hashes = columns.map(() => createHash('sha256'))
  const result = await connection.stream(
    `SELECT ${columns.join(', ')} FROM read_parquet('${path}', file_row_number = true)`,
  )
  for (let next = result.fetchChunk(); ;) {
    const chunk = await next
    if (chunk === null || chunk.rowCount === 0) return hashes.map((hash) => hash.digest('hex'))
    next = result.fetchChunk()
    for (const [at, hash] of hashes.entries()) {
      const vector = bindings.data_chunk_get_vector(chunk.chunk, at)
      hash.update(bindings.vector_get_data(vector, 8 * chunk.rowCount))
    }
  }
}

/** The lengths of a column's texts, and the texts. */
async function hashTexts(connection: DuckDBConnection, path: string, column: string): Promise<string> {
  const hash = createHash('sha256')
  const result = await connection.stream(
    `SELECT string_agg(${column}, '' ORDER BY file_row_number), string_agg(chr(CAST(length(${column}) AS INTEGER)), '' ORDER BY file_row_number)
     FROM read_parquet('${path}', file_row_number = true) GROUP BY file_row_number // ${blockRows} ORDER BY file_row_number // ${blockRows}`,
  )
  for (const row of await result.getRows()) hash.update(String(row[0])).update(String(row[1]))
  return hash.digest('hex')
}
