/** Looks at every time of a source, and says of those that are no instants how many they are and which is the first. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import { query } from './duckdb.ts'
import { missingZone, type EventTime, type TimeFault } from './eventTime.ts'
import { storedTable, type SourceRelation } from './source.ts'

/** In the order in which they are told: a null says more than what may be wrong with the other values. */
const faults: readonly TimeFault[] = ['null', 'naive', 'no_time', 'nonexistent', 'ambiguous']

/**
 * Looks at every timestamp and arrival. Where a null is all that can be wrong, Parquet's statistics answer at once.
 *
 * @throws InputError that counts those that are null, carry no zone, are no times, or are local times that the source's
 * zone does not have, or has twice and the source refuses.
 */
export async function checkTimestamps(connection: DuckDBConnection, relation: SourceRelation): Promise<void> {
  for (const input of relation.inputs) await checkTimestamps(connection, input)
  for (const time of timesOf(relation)) await checkTime(connection, relation, time, time.isUncertain)
}

/**
 * What is no instant fails the query that reads it; a null does not, and is looked for beforehand. Parquet's statistics
 * answer at once; text needs no look, for its nulls fail the query as well.
 */
export async function checkNullTimes(connection: DuckDBConnection, relation: SourceRelation): Promise<void> {
  if (relation.source.format === 'csv' || relation.source.format === 'json') return
  for (const time of timesOf(relation)) await checkTime(connection, relation, time, false)
}

const timesOf = ({ time, arrival }: SourceRelation) => (arrival === null ? [time] : [time, arrival])

async function checkTime(
  connection: DuckDBConnection,
  relation: SourceRelation,
  time: EventTime,
  everyValue: boolean,
): Promise<void> {
  const { source } = relation
  const column = quoteIdentifier(time.name)
  const table = storedTable(relation, [{ name: time.name, type: 'VARCHAR' }])
  const bad = everyValue ? `${time.fault} IS NOT NULL` : `${column} IS NULL`
  const rows = await query(
    connection,
    `SELECT ${time.fault} AS fault, count(*) AS events, CAST(min(${column}) AS VARCHAR) AS first FROM ${table} WHERE ${bad} GROUP BY fault`,
  )
  const found = faults.flatMap((fault) => rows.filter((row) => row['fault'] === fault))[0]
  if (found === undefined) return
  const [events, first] = [Number(found['events']), quoteLiteral(String(found['first']))]
  const context = { source: source.name, column: time.name, count: events }
  const fault = found['fault'] as TimeFault
  if (fault === 'naive') throw missingZone(source, time.name, `has ${events} times such as ${first}`)
  const sentences = {
    null: `${events} events have no time${time.name === source.arrival ? ' of arrival' : ''}: column ${time.name} is null. Remove them or fill in their times.`,
    no_time: `column ${time.name} has ${events} values that are not times, such as ${first}. Write them like 2001-01-08T06:00:00Z.`,
    nonexistent: `column ${time.name} has ${events} local times that ${source.timeZone} does not have, the first ${first}: clocks go forward over them. Correct the zone, or say what they are: nonexistent: 'shift-forward'.`,
    ambiguous: `column ${time.name} has ${events} local times that ${source.timeZone} has twice, the first ${first}: clocks go back over them. Write them with their offset, or say which they are: ambiguous: 'earlier' or 'later'.`,
  }
  throw new InputError(`source ${source.name}: ${sentences[fault]}`, context)
}
