/**
 * The floor of a load: the rows of one Parquet file read by DuckDB, column by column, packed by msgpackr and put by lmdb
 * itself, all at once and awaited at the end. It decides nothing (which row an entity is served, which of two loads wins),
 * and keeps neither order nor card. Written here, by hand; nothing of the online store is used.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { open } from 'lmdb'
import { pack } from 'msgpackr'

/** Keys `id`, values `[event timestamp in microseconds, f0, … f9]`. Returns how many were put. */
export async function materializeFloor(
  connection: DuckDBConnection,
  files: readonly string[],
  folder: string,
): Promise<number> {
  const database = open<Buffer, string>({ path: folder, encoding: 'binary' })
  const paths = files.map((file) => `'${file}'`).join(', ')
  const result = await connection.stream(
    `SELECT id, epoch_us(event_timestamp), f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 FROM read_parquet([${paths}])`,
  )
  let count = 0
  let last: Promise<boolean> | undefined
  for (;;) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) break
    const [ids = [], ...columns] = chunk.getColumns()
    for (const [row, id] of ids.entries()) {
      last = database.put(String(id), pack(columns.map((column) => column[row])))
    }
    count += chunk.rowCount
  }
  await last
  await database.flushed
  await database.close()
  return count
}
