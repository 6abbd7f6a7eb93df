/**
 * The floor of the hourly backfill: the SQL that somebody who knows DuckDB writes by hand for exactly these features,
 * into the same daily files in the same order. Written here, by hand; nothing of the compiler is used.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'

/** `airport_delays_v1` from 8 January to the end of June 2001. Returns how many rows were written. */
export async function hourlyBackfillFloor(
  connection: DuckDBConnection,
  flights: string,
  folder: string,
): Promise<number> {
  mkdirSync(folder, { recursive: true })
  await connection.run(`CREATE OR REPLACE TEMP TABLE hours AS
    SELECT origin, date_trunc('hour', date) + INTERVAL 1 HOUR AS hour_end, count(*) AS departures, sum(delay) AS delay,
           max(delay) AS max_delay, count(*) FILTER (WHERE delay > 15) AS late, sum(distance) AS miles
    FROM read_parquet('${flights}/*.parquet') WHERE date < TIMESTAMP '2001-07-01' GROUP BY ALL`)
  await connection.run(`CREATE OR REPLACE TEMP TABLE grid AS
    SELECT origin, hour_end, departures, delay, max_delay, late, miles
    FROM (SELECT origin, unnest(generate_series(min(hour_end), TIMESTAMP '2001-07-01', INTERVAL 1 HOUR)) AS hour_end FROM hours GROUP BY origin)
    LEFT JOIN hours USING (origin, hour_end)`)
  await connection.run(`CREATE OR REPLACE TEMP TABLE result AS
    SELECT origin, hour_end AT TIME ZONE 'UTC' AS event_timestamp, (hour_end + INTERVAL 15 MINUTE) AT TIME ZONE 'UTC' AS created_timestamp,
           'floor' AS run_id, coalesce(departures, 0) AS departures_1h, coalesce(n_24h, 0)::BIGINT AS departures_24h,
           delay_24h / nullif(n_24h, 0)::DOUBLE AS mean_delay_24h, max_24h AS max_delay_24h,
           coalesce(late_24h, 0)::BIGINT AS late_departures_24h, late_7d / nullif(n_7d, 0)::DOUBLE AS late_share_7d,
           delay_7d / nullif(n_7d, 0)::DOUBLE AS mean_delay_7d, miles_7d::BIGINT AS miles_7d, CAST(hour_end AS DATE) AS day
    FROM (SELECT *, sum(departures) OVER day AS n_24h, sum(delay) OVER day AS delay_24h, max(max_delay) OVER day AS max_24h,
                 sum(late) OVER day AS late_24h, sum(departures) OVER week AS n_7d, sum(delay) OVER week AS delay_7d,
                 sum(late) OVER week AS late_7d, sum(miles) OVER week AS miles_7d,
                 sum(departures) OVER (PARTITION BY origin ORDER BY hour_end ROWS BETWEEN 168 PRECEDING AND 1 PRECEDING) AS before
          FROM grid
          WINDOW day AS (PARTITION BY origin ORDER BY hour_end ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
                 week AS (PARTITION BY origin ORDER BY hour_end ROWS BETWEEN 167 PRECEDING AND CURRENT ROW))
    WHERE hour_end > TIMESTAMP '2001-01-08' AND (n_7d > 0 OR before > 0)
    ORDER BY day`)
  const days = await connection.runAndReadAll('SELECT DISTINCT CAST(day AS VARCHAR) FROM result ORDER BY 1')
  for (const [day] of days.getRows()) {
    await connection.run(`COPY (SELECT * EXCLUDE (day) FROM result WHERE day = DATE '${String(day)}' ORDER BY origin, event_timestamp)
      TO '${join(folder, `${String(day)}.parquet`)}' (FORMAT parquet, COMPRESSION zstd)`)
  }
  const count = await connection.runAndReadAll('SELECT count(*) FROM result')
  return Number(count.getRows()[0]?.[0])
}
