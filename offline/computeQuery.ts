/**
 * Computes the rows of a query group: its SELECT once for every interval, with the interval's bounds as parameters.
 *
 * Rows keep their own event timestamps, which must lie inside their interval `(s, e]`, and all their versions.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { tableColumns, type BoundGroup } from '../model/bound.ts'
import { InputError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import { durationMs, formatInstant, intervalEnds, type EpochMs } from '../model/time.ts'
import { bindQueryColumns } from './bindQuery.ts'
import { checkNullTimes } from './checkTimes.ts'
import { duckdbTypeOf } from './columnType.ts'
import type { RowsRequest } from './computeRows.ts'
import { query } from './duckdb.ts'
import { queryOf, queryRelation } from './queryRelation.ts'

/** @throws InputError for a null key, a row outside its interval, a value that does not fit, and changed columns. */
export async function computeQuery(connection: DuckDBConnection, request: RowsRequest): Promise<void> {
  const { bound, relations, range, only, into, signal, knownFrom } = request
  const { group } = bound
  const relation = await queryRelation(connection, group, relations)
  bindQueryColumns(group, relation.columns)
  for (const source of relations) await checkNullTimes(connection, source)
  const raw = quoteIdentifier(`${into} raw`)
  const columns = rawColumns(bound)
  const selected = columns.map(({ name, sql, type }) => `CAST(${sql} AS ${type}) AS ${quoteIdentifier(name)}`)
  await query(
    connection,
    `CREATE TEMP TABLE ${raw} (interval_end_us BIGINT, ${columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`).join(', ')})`,
  )
  try {
    const [cadence, available] = [durationMs(group.every), durationMs(group.availableAfter)]
    const isAsked = (end: EpochMs) => only?.some(({ from, to }) => from < end && end <= to) ?? true
    for (const end of intervalEnds(range, cadence)) {
      if (!isAsked(end)) continue
      const insert = `INSERT INTO ${raw} SELECT ${end * 1000}, ${selected.join(', ')} FROM ${relation.tableAt(knownFrom ?? end + available)}`
      await query(connection, insert, signal, relation.bounds({ from: end - cadence, to: end })).catch(
        (error: unknown) => {
          if (!(error instanceof InputError)) throw error
          throw new InputError(
            `feature group ${group.id}: the query of the interval that ends at ${formatInstant(end)}: ${error.message}`,
            { ...error.context, group: group.id },
            { cause: error },
          )
        },
      )
    }
    await refuseNullKeys(connection, bound, raw)
    await refuseOutside(connection, group, raw)
    await query(
      connection,
      `CREATE TEMP TABLE ${quoteIdentifier(into)} AS SELECT ${finishedColumns(request).join(', ')} FROM ${raw} ${withoutSuperseded(request)}`,
      signal,
    )
  } finally {
    await query(connection, `DROP TABLE IF EXISTS ${raw}`)
  }
}

/** What is taken from the query; a created column of its own may have the name of a key or feature too. */
function rawColumns({ group, keys, features }: BoundGroup): { name: string; sql: string; type: string }[] {
  const { created } = queryOf(group)
  const named = (name: string, type: string) => ({ name, sql: quoteIdentifier(name), type })
  return [
    ...keys.map(({ name, type }) => named(name, duckdbTypeOf(type))),
    named('event_timestamp', 'TIMESTAMPTZ'),
    {
      name: 'created_timestamp',
      sql: created === null ? 'NULL' : quoteIdentifier(created.column),
      type: 'TIMESTAMPTZ',
    },
    ...features.map(({ name, type }) => named(name, duckdbTypeOf(type))),
  ]
}

/**
 * A row of history is known from when its interval was due, one of a refresh from when it was computed; unless it says
 * something later or stands alone (rule 6).
 */
function finishedColumns({ bound, runId, knownFrom }: RowsRequest): string[] {
  const { group } = bound
  const { created } = queryOf(group)
  const due =
    knownFrom === undefined
      ? `make_timestamptz(interval_end_us + ${durationMs(group.availableAfter) * 1000})`
      : `make_timestamptz(${knownFrom * 1000})`
  // greatest() leaves nulls out; a row that does not say when it was created was never known.
  const later = `CASE WHEN created_timestamp IS NOT NULL THEN greatest(created_timestamp, ${due}) END`
  const createdSql = created === null ? due : created.asServed ? 'created_timestamp' : later
  return tableColumns(bound).map(({ name }) => {
    const own: Record<string, string> = { created_timestamp: createdSql, run_id: quoteLiteral(runId) }
    return `${own[name] ?? quoteIdentifier(name)} AS ${quoteIdentifier(name)}`
  })
}

/**
 * Versions that a refresh sees at once are known from one moment: of those that were made before it, the last one counts,
 * and the others could not be told from it any more.
 */
function withoutSuperseded({ bound, knownFrom }: RowsRequest): string {
  const { created } = queryOf(bound.group)
  if (knownFrom === undefined || created === null || created.asServed) return ''
  const isPast = `created_timestamp <= make_timestamptz(${knownFrom * 1000})`
  const by = [...bound.keys.map(({ name }) => name), 'event_timestamp'].map(quoteIdentifier).join(', ')
  const values = bound.features.map(({ name }) => quoteIdentifier(name)).join(', ')
  return `QUALIFY NOT coalesce(${isPast}, false)
    OR row_number() OVER (PARTITION BY ${by}, ${isPast} ORDER BY created_timestamp DESC, ${values}) = 1`
}

async function refuseNullKeys(connection: DuckDBConnection, bound: BoundGroup, raw: string): Promise<void> {
  for (const { name } of bound.keys) {
    const [found] = await query(
      connection,
      `SELECT count(*) AS rows FROM ${raw} WHERE ${quoteIdentifier(name)} IS NULL`,
    )
    if (found?.['rows'] === 0n) continue
    throw new InputError(
      `feature group ${bound.group.id}: ${String(found?.['rows'])} rows of the query have no ${name}, a key of entity ${bound.group.entity.name}. Leave them out with WHERE ${name} IS NOT NULL.`,
      { group: bound.group.id, key: name, count: Number(found?.['rows']) },
    )
  }
}

async function refuseOutside(connection: DuckDBConnection, group: FeatureGroup, raw: string): Promise<void> {
  const start = `interval_end_us - ${durationMs(group.every) * 1000}`
  const inside = `epoch_us(event_timestamp) > ${start} AND epoch_us(event_timestamp) <= interval_end_us`
  const [found] = await query(
    connection,
    `SELECT count(*) AS rows, CAST(arg_min(coalesce(CAST(event_timestamp AS VARCHAR), 'null'), interval_end_us) AS VARCHAR) AS first, min(interval_end_us) AS end
     FROM ${raw} WHERE coalesce(NOT (${inside}), true)`,
  )
  if (found === undefined || found['rows'] === 0n) return
  const end = Number(found['end']) / 1000
  throw new InputError(
    `feature group ${group.id}: ${String(found['rows'])} rows of the query lie outside their interval; the first has event_timestamp ${String(found['first'])} in the interval from ${formatInstant(end - durationMs(group.every))} (exclusive) to ${formatInstant(end)}. Add a condition such as WHERE event_timestamp > $from AND event_timestamp <= $to.`,
    { group: group.id, count: Number(found['rows']) },
  )
}
