/**
 * Computes the rows of a map group: its function once for every entity and interval end that has a row.
 *
 * The events are sorted inside DuckDB, where they can spill, and read from the finished table in pages of a bounded
 * size; JavaScript holds one page and one entity's window. The rows go back through DuckDB's appender, page by page.
 */
import type { DuckDBAppender, DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { tableColumns, type BoundGroup } from '../model/bound.ts'
import type { EventValue } from '../model/compute.ts'
import { IntegrityError } from '../model/errors.ts'
import { durationMs, type EpochMs } from '../model/time.ts'
import { bindMapColumns } from './bindMap.ts'
import { duckdbTypeOf } from './columnType.ts'
import type { RowsRequest } from './computeRows.ts'
import { query, type Row } from './duckdb.ts'
import { makeSortedEvents, mapOf } from './mapEvents.ts'
import { appendedType, duckdbValue } from './mapValue.ts'
import { runMap } from './runMap.ts'
import type { SourceRelation } from './source.ts'
import { windowSweep, type SweptEvent, type WindowSweep } from './windowSweep.ts'

/** Events that JavaScript holds at once, beside one window. */
const pageSize = 5_000
/** How long functions may hold the event loop, on which heartbeats go out. */
const longestTurnMs = 500

interface MapEvent extends SweptEvent {
  readonly values: Readonly<Record<string, EventValue>>
}

/** @throws InputError for a null key, what the function throws and values that are not of their types. */
export async function computeMap(
  connection: DuckDBConnection,
  request: RowsRequest,
  relation: SourceRelation,
): Promise<void> {
  const { bound, range, into, signal } = request
  const { group } = bound
  bindMapColumns(group, relation)
  const [sorted, results] = [`${into} events`, `${into} results`]
  try {
    const count = await makeSortedEvents(connection, group, relation, range, quoteIdentifier(sorted), signal)
    await query(
      connection,
      `CREATE TEMP TABLE ${quoteIdentifier(results)} (${resultColumns(bound).join(', ')})`,
    )
    const appender = await connection.createAppender(results, 'main', 'temp')
    const mapper = entityMapper(request, appender)
    let done = 0
    for await (const rows of pages(connection, quoteIdentifier(sorted), count, signal)) {
      await inTurns(rows, (row) => mapper.take(row))
      appender.flushSync()
      done += rows.length
    }
    if (done !== count) throw new IntegrityError(`${done} of ${count} events of ${group.id} were read back.`)
    mapper.finish()
    appender.closeSync()
    await query(
      connection,
      `CREATE TEMP TABLE ${quoteIdentifier(into)} AS SELECT ${finishedColumns(request).join(', ')} FROM ${quoteIdentifier(results)}`,
      signal,
    )
  } finally {
    for (const table of [sorted, results])
      await query(connection, `DROP TABLE IF EXISTS ${quoteIdentifier(table)}`)
  }
}

async function* pages(
  connection: DuckDBConnection,
  sorted: string,
  count: number,
  signal?: AbortSignal,
): AsyncGenerator<Row[]> {
  for (let after = 0; after < count; after += pageSize) {
    yield await query(
      connection,
      `SELECT * FROM ${sorted} WHERE n > ${after} AND n <= ${after + pageSize} ORDER BY n`,
      signal,
    )
  }
}

async function inTurns<T>(items: readonly T[], step: (item: T) => void): Promise<void> {
  let turnBegan = performance.now()
  for (const item of items) {
    step(item)
    if (performance.now() - turnBegan < longestTurnMs) continue
    await new Promise((resolve) => setImmediate(resolve))
    turnBegan = performance.now()
  }
}

/** Takes sorted events one by one; a row of another entity finishes the one before. */
function entityMapper({ bound, range, knownFrom }: RowsRequest, appender: DuckDBAppender) {
  const { group } = bound
  const { over, columns } = mapOf(group)
  const keyTypes = bound.keys.map(({ type }) => appendedType(type))
  const features = bound.features.map(({ type }) => ({ type, appended: appendedType(type) }))
  const lengths = {
    range,
    everyMs: durationMs(group.every),
    overMs: durationMs(over),
    availableAfterMs: durationMs(group.availableAfter),
  }
  let entity: { keys: DuckDBValue[]; sweep: WindowSweep<MapEvent> } | null = null

  const append = (keys: readonly DuckDBValue[], end: EpochMs, events: readonly MapEvent[]) => {
    const key = Object.freeze(
      Object.fromEntries(bound.keys.map(({ name }, index) => [name, keys[index] as string])),
    )
    const values = runMap(bound, { key, at: end, events: events.map((event) => event.values) })
    for (const [index, type] of keyTypes.entries()) appender.appendValue(keys[index] ?? null, type)
    appender.appendBigInt(BigInt(end) * 1000n)
    for (const [index, { type, appended }] of features.entries()) {
      appender.appendValue(duckdbValue(type, values[index] ?? null), appended)
    }
    appender.endRow()
  }

  return {
    take(row: Row) {
      const keys = bound.keys.map((_, index) => row[`k${index}`] ?? null)
      if (entity === null || keys.some((key, index) => key !== entity?.keys[index])) {
        entity?.sweep.finish()
        entity = { keys, sweep: windowSweep<MapEvent>(lengths, (end, events) => append(keys, end, events)) }
      }
      entity.sweep.push({
        us: Number(row['event_us']),
        // Where one moment counts for all rows, what arrives later was never read.
        arrivedUs: row['arrival_us'] === null || knownFrom !== undefined ? null : Number(row['arrival_us']),
        values: eventValues(columns, row),
      })
    },
    finish: () => entity?.sweep.finish(),
  }
}

/** Frozen, for several windows hold the same event: a function that changed it would change what others see. */
export function eventValues(columns: readonly string[], row: Row): Readonly<Record<string, EventValue>> {
  return Object.freeze(
    Object.fromEntries(columns.map((name, index) => [name, (row[`c${index}`] ?? null) as EventValue])),
  )
}

const resultColumns = ({ keys, features }: BoundGroup) => [
  ...keys.map(({ name, type }) => `${quoteIdentifier(name)} ${duckdbTypeOf(type)}`),
  'end_us BIGINT',
  ...features.map(({ name, type }) => `${quoteIdentifier(`feature ${name}`)} ${duckdbTypeOf(type)}`),
]

/** A row of history is known from the moment at which a pipeline that had been right all along would have served it. */
function finishedColumns({ bound, runId, knownFrom }: RowsRequest): string[] {
  const own: Record<string, string> = {
    event_timestamp: 'make_timestamptz(end_us)',
    created_timestamp:
      knownFrom === undefined
        ? `make_timestamptz(end_us + ${durationMs(bound.group.availableAfter) * 1000})`
        : `make_timestamptz(${knownFrom * 1000})`,
    run_id: quoteLiteral(runId),
    ...Object.fromEntries(bound.features.map(({ name }) => [name, quoteIdentifier(`feature ${name}`)])),
  }
  return tableColumns(bound).map(
    ({ name }) => `${own[name] ?? quoteIdentifier(name)} AS ${quoteIdentifier(name)}`,
  )
}
