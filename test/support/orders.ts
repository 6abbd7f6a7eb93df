/** Orders for the test store: a file a day, the same for the same seed. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

export async function writeOrders(folder: string, days: readonly string[], priceFactor = 1): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  try {
    for (const day of days) {
      await connection.run(
        `COPY (SELECT TIMESTAMP '${day}' + to_microseconds(CAST(hash('at', day, n) % 86400000000 AS BIGINT)) AS at,
                 ['at', 'de', 'pt'][1 + CAST(hash('country', n) % 3 AS INTEGER)] AS country,
                 CAST(hash('shop', n) % 7 AS BIGINT) AS shop,
                 ${priceFactor} * (CAST(hash('price', day, n) % 20000 AS DOUBLE) - 5000) / 128.0 AS price,
                 CASE WHEN hash('null', day, n) % 11 = 0 THEN NULL ELSE CAST(hash('items', day, n) % 9 AS INTEGER) END AS items
               FROM (SELECT '${day}' AS day, n FROM range(300) AS numbers(n)))
         TO '${join(folder, `orders-${day}.parquet`)}' (FORMAT parquet)`,
      )
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
