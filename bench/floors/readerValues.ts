/** What the floor of the reader serves: `floor:<id>` holds `[event timestamp in microseconds, [f0, … f9]]`, by msgpackr's pack. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { Redis } from 'ioredis'
import { pack } from 'msgpackr'

/** Puts the rows of Parquet files. Returns how many there were. */
export async function putFloorValues(
  connection: DuckDBConnection,
  files: readonly string[],
  url: string,
): Promise<number> {
  const redis = new Redis(url)
  const paths = files.map((file) => `'${file}'`).join(', ')
  const result = await connection.stream(
    `SELECT id, epoch_us(event_timestamp), f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 FROM read_parquet([${paths}])`,
  )
  let count = 0
  for (;;) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) break
    const [ids = [], times = [], ...columns] = chunk.getColumns()
    const pipeline = redis.pipeline()
    for (const [row, id] of ids.entries()) {
      const values = columns.map((column) => column[row])
      pipeline.set(`floor:${String(id)}`, pack([Number(times[row]), values]))
    }
    await pipeline.exec()
    count += chunk.rowCount
  }
  redis.disconnect()
  return count
}
