/**
 * The demo's training set: did this flight leave more than a quarter of an hour late? Half a million real flights as labels,
 * with what was served of their airport and their route at the minute of departure; and beside it what a join shows that
 * looks at the row of the same day instead, in which the flight itself is counted.
 */
import type { FeatureGroup } from '../../model/index.ts'
import { planScan, quoteLiteral, readDataFiles } from '../../iceberg/index.ts'
import { query } from '../../offline/index.ts'
import type { Store } from '../../worker/openStore.ts'
import type { TrainingInput } from '../../workflows/contract.ts'

export const labelCount = 500_000

export const trainingRequest: TrainingInput = {
  name: 'late_departure',
  model: 'late_departure',
  service: 'delay_model_v1',
  eventTimestamps: true,
  labels: {
    sql: `SELECT date, origin, destination, delay > 15 AS late FROM flights
      WHERE date >= TIMESTAMPTZ '2001-01-16 00:00:00Z' AND hash(date, origin, destination, delay, distance) % 5 = 0
      ORDER BY date, origin, destination, delay, distance LIMIT ${labelCount}`,
    sources: ['flights'],
    time: 'date',
  },
}

export interface TrainingEvidence {
  readonly labels: number
  /** Labels whose airport or route row was made at or after the label's own time. */
  readonly fromTheFuture: number
  /** Correlation of being late with the route's share of punctual flights, as served and as a leaky join has it. */
  readonly served: number
  readonly leaky: number
}

/** Looked up with plain SQL over the set's files and the table, without the join that is judged. */
export async function trainingEvidence(
  store: Store,
  files: readonly string[],
  routes: FeatureGroup,
): Promise<TrainingEvidence> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: routes.id })
  const { files: published, schema } = await planScan(table)
  const localPath = (location: string) => store.fileIO.localPath(location)
  const rows = readDataFiles({ schema, files: published, localPath })
  const set = `read_parquet([${files.map((file) => quoteLiteral(localPath(file))).join(', ')}])`
  const connection = await store.duckdb.connect()
  try {
    const [found = {}] = await query(
      connection,
      `SELECT count(*) AS labels,
         count(*) FILTER (airport_delays_v1__age_seconds < 900 OR route_punctuality_v1__age_seconds < 900) AS early,
         corr(CAST(late AS INTEGER), on_time_share_7d) AS served
       FROM ${set}`,
    )
    const [leaking = {}] = await query(
      connection,
      `SELECT corr(CAST(late AS INTEGER), leaky.on_time_share_7d) AS leaky
       FROM ${set} AS labels ASOF JOIN ${rows} AS leaky
       ON labels.origin = leaky.origin AND labels.destination = leaky.destination AND labels.date < leaky.event_timestamp`,
    )
    return {
      labels: Number(found['labels']),
      fromTheFuture: Number(found['early']),
      served: Number(found['served']),
      leaky: Number(leaking['leaky']),
    }
  } finally {
    connection.closeSync()
  }
}
