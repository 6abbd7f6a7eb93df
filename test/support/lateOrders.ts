/** Orders of which some arrive late, and a source that grows as they do: one file for all that arrived in a step of time. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { query, type DuckDb } from '../../offline/index.ts'

export interface LateOrders {
  readonly duckdb: DuckDb
  /** Parquet with `at`, `arrives`, `shop`, `price`. */
  readonly all: string
  /** The folder that the source reads. */
  readonly source: string
}

const hourMs = 36e5

export interface LateOrdersRequest {
  readonly duckdb: DuckDb
  readonly folder: string
  readonly from: string
  readonly days: number
  /** No order is later than this. */
  readonly latenessMs: number
  readonly seed: number
  /** One order at this instant costs so much that a gate blocks. */
  readonly dearAt: string
}

/** About forty orders an hour, a tenth of them late; sums of prices are exact. */
export async function makeLateOrders(request: LateOrdersRequest): Promise<LateOrders> {
  const { duckdb, folder, from, days, latenessMs, seed, dearAt } = request
  const source = join(folder, 'orders')
  mkdirSync(source, { recursive: true })
  const all = join(folder, 'all.parquet')
  const connection = await duckdb.connect()
  try {
    const random = (what: string, below: number) => `CAST(hash('${what}', ${seed}, n) % ${below} AS BIGINT)`
    const time = `TIMESTAMP '${from}' + to_microseconds(${random('at', days * 24 * hourMs * 1000)})`
    const delay = `CASE WHEN ${random('is late', 10)} = 0 THEN ${random('late', latenessMs * 1000)} ELSE ${random('prompt', 300_000_000)} END`
    await query(
      connection,
      `COPY (SELECT "at", "at" + to_microseconds(delay) AS arrives, shop, price FROM (
         SELECT ${time} AS "at", ${delay} AS delay, ${random('shop', 7)} AS shop, (${random('price', 20_000)} - 5000) / 128.0 AS price
         FROM range(${days * 24 * 40}) AS numbers(n))
       UNION ALL SELECT TIMESTAMP '${dearAt}', TIMESTAMP '${dearAt}' + INTERVAL 1 MINUTE, 3, 5000.0)
       TO '${all}' (FORMAT parquet)`,
    )
  } finally {
    connection.closeSync()
  }
  return { duckdb, all, source }
}

/** Adds a file with the orders that arrive after `from`, up to `to`. */
export async function letArrive(
  { duckdb, all, source }: LateOrders,
  from: number,
  to: number,
): Promise<void> {
  const connection = await duckdb.connect()
  try {
    await query(
      connection,
      `COPY (SELECT "at", arrives, shop, price FROM read_parquet('${all}')
         WHERE epoch_us(arrives) > ${from * 1000} AND epoch_us(arrives) <= ${to * 1000})
       TO '${join(source, `until-${to}.parquet`)}' (FORMAT parquet)`,
    )
  } finally {
    connection.closeSync()
  }
}
