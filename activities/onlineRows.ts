/** Winners as rows of the online store, in bounded batches. */
import {
  DuckDBListValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBValue,
} from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/index.ts'
import { IntegrityError, type BoundGroup } from '../model/index.ts'
import type { FeatureValue, KeyValue, OnlineRow, ScalarValue } from '../online/index.ts'

/**
 * Reads the table of `selectWinners`. DuckDB's streams swallow errors, so what is streamed is a finished temporary
 * table, and the rows are counted against it.
 */
export async function* onlineRowsOf(
  connection: DuckDBConnection,
  winners: string,
  bound: BoundGroup,
  batchRows: number,
): AsyncGenerator<OnlineRow[]> {
  const keys = bound.keys.map(({ name }) => quoteIdentifier(name)).join(', ')
  const result = await connection.stream(`SELECT ${keys}, winner FROM ${quoteIdentifier(winners)}`)
  let streamed = 0
  let batch: OnlineRow[] = []
  for await (const rows of result.yieldRows()) {
    for (const row of rows) {
      batch.push(onlineRow(row, bound))
      if (batch.length === batchRows) {
        yield batch
        batch = []
      }
    }
    streamed += rows.length
  }
  if (batch.length > 0) yield batch
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${quoteIdentifier(winners)}`)
  if (counted.getRows()[0]?.[0] !== BigInt(streamed)) {
    throw new IntegrityError(
      `${bound.group.id}: only ${streamed} of the winners could be read. The load is not complete.`,
    )
  }
}

function onlineRow(row: readonly DuckDBValue[], { keys, features }: BoundGroup): OnlineRow {
  const winner = row[keys.length]
  const keyValues = row.slice(0, keys.length) as KeyValue[]
  if (!(winner instanceof DuckDBStructValue))
    return { keys: keyValues, eventTimestampMicros: null, values: null }
  const { entries } = winner
  return {
    keys: keyValues,
    eventTimestampMicros: featureValue(entries['event_timestamp'] ?? null) as bigint,
    values: features.map(({ name }) => featureValue(entries[name] ?? null)),
  }
}

function featureValue(value: DuckDBValue): FeatureValue {
  if (value instanceof DuckDBListValue) return value.items.map(scalarValue)
  return scalarValue(value)
}

function scalarValue(value: DuckDBValue): ScalarValue {
  return value instanceof DuckDBTimestampTZValue ? value.micros : (value as ScalarValue)
}
