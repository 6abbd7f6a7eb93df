/**
 * The floor of a training set: one ASOF statement from Parquet to Parquet. Created timestamps stand for what was known when,
 * which is right as long as no row was ever corrected; it keeps no order, pins nothing, and says nothing of what it made.
 * Written here, by hand.
 */
import type { DuckDBConnection } from '@duckdb/node-api'

export async function trainingSetFloor(
  connection: DuckDBConnection,
  { labels, features, into }: { labels: string; features: readonly string[]; into: string },
): Promise<void> {
  const paths = features.map((file) => `'${file}'`).join(', ')
  await connection.run(
    `COPY (
       SELECT labels.*, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9
       FROM read_parquet('${labels}') AS labels
       ASOF LEFT JOIN read_parquet([${paths}]) AS features
       ON labels.id = features.id AND labels.seen_at >= features.created_timestamp
     ) TO '${into}' (FORMAT parquet, COMPRESSION zstd)`,
  )
}
