/** Whether two sets of Parquet files hold the same rows of the hourly backfill. */
import { query, type DuckDb } from '../offline/index.ts'
import { toJson } from '../scripts/output.ts'

/**
 * Means are compared to six digits: sums of doubles come in no fixed order.
 * @throws Error with the counts where rows are missing or too many on either side, or there are none at all
 */
export async function refuseDifferentRows(
  duckdb: DuckDb,
  byHand: readonly string[],
  ours: readonly string[],
): Promise<void> {
  const connection = await duckdb.connect()
  const rows = (files: readonly string[]) =>
    `SELECT * EXCLUDE (run_id) REPLACE (round(mean_delay_24h, 6) AS mean_delay_24h, round(mean_delay_7d, 6) AS mean_delay_7d)
     FROM read_parquet([${files.map((file) => `'${file}'`).join(', ')}], hive_partitioning = false)`
  const [found] = await query(
    connection,
    `SELECT (SELECT count(*) FROM (${rows(byHand)})) AS rows, (SELECT count(*) FROM (${rows(byHand)} EXCEPT ALL ${rows(ours)})) AS lacking,
            (SELECT count(*) FROM (${rows(ours)} EXCEPT ALL ${rows(byHand)})) AS more`,
  )
  connection.closeSync()
  if (found?.['lacking'] !== 0n || found['more'] !== 0n || found['rows'] === 0n) {
    throw new Error(`The floor and the backfill do not write the same rows: ${toJson(found)}`)
  }
}
