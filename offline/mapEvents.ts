/** What a map group reads of its source, and how its values come to JavaScript. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { MapCompute } from '../model/compute.ts'
import { InputError, IntegrityError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import { durationMs, type IntervalRange } from '../model/time.ts'
import { checkNullTimes, checkTimestamps } from './checkTimes.ts'
import { classOf, duckdbTypes, fitsInt32 } from './columnType.ts'
import { query } from './duckdb.ts'
import { countEvents, isTimeColumn, selectEvents, type EventColumn, type SourceRelation } from './source.ts'

export function mapOf({ id, compute }: FeatureGroup): MapCompute {
  if (compute.kind === 'map') return compute
  throw new IntegrityError(`feature group ${id} is a ${compute.kind} group and has no function.`)
}

/** The keys as k0, k1, … and the columns of the definition as c0, c1, … */
export function mapColumns(group: FeatureGroup): EventColumn[] {
  const keys = Object.entries(group.entity.keys).map(([name, type], index) => ({
    name,
    as: `k${index}`,
    type: duckdbTypes[type],
  }))
  return [...keys, ...mapOf(group).columns.map((name, index) => ({ name, as: `c${index}` }))]
}

/**
 * SQL of a column's values as a function sees them: instants as milliseconds, what fits no int32 as bigint.
 * @throws InputError for a column that is missing or of a type that no function sees.
 */
export function valueSql(group: FeatureGroup, relation: SourceRelation, name: string, as: string): string {
  const { source, columns } = relation
  const type = columns.find((column) => column.name === name)?.type
  if (type === undefined) {
    throw new InputError(
      `feature group ${group.id}: source ${source.name} has no column ${JSON.stringify(name)}. It has ${columns.map((one) => one.name).join(', ')}.`,
      { group: group.id, column: name },
    )
  }
  switch (isTimeColumn(source, name) ? 'instant' : classOf(type)) {
    case 'integer':
      return `CAST(${as} AS ${fitsInt32(type) ? 'INTEGER' : 'BIGINT'})`
    case 'float':
    case 'decimal':
      return `CAST(${as} AS DOUBLE)`
    case 'text':
    case 'boolean':
      return as
    case 'instant':
      return `epoch_us(${as}) / 1000.0`
    case 'other':
      throw new InputError(
        `feature group ${group.id}: column ${name} of source ${source.name} is ${type}, which a function cannot see. Use a column of numbers, text, booleans or instants; a sqlSource can make one.`,
        { group: group.id, column: name, type },
      )
  }
}

/** The events that the rows of a range need; the last row of an entity looks back one cadence further. */
export const eventsOf = (group: FeatureGroup, { from, to }: IntervalRange): IntervalRange => ({
  from: from - durationMs(mapOf(group).over),
  to,
})

/**
 * Makes the table `sorted` of the events in the order of entity, time and the whole row, numbered from 1 in column `n`.
 *
 * @returns how many there are
 */
export async function makeSortedEvents(
  connection: DuckDBConnection,
  group: FeatureGroup,
  relation: SourceRelation,
  range: IntervalRange,
  sorted: string,
  signal?: AbortSignal,
): Promise<number> {
  const columns = mapColumns(group)
  const keys = Object.keys(group.entity.keys).map((_, index) => `k${index}`)
  const values = mapOf(group).columns.map(
    (name, index) => `${valueSql(group, relation, name, `c${index}`)} AS c${index}`,
  )
  const arrived = relation.arrival === null ? 'CAST(NULL AS BIGINT) AS arrival_us' : 'arrival_us'
  const seen = values.map((_, index) => `c${index}`)
  const order = [...keys, 'event_us', ...seen, 'arrival_us'].join(', ')
  const events = selectEvents(relation, columns, eventsOf(group, range))
  await checkNullTimes(connection, relation)
  await query(
    connection,
    `CREATE TEMP TABLE ${sorted} AS SELECT row_number() OVER (ORDER BY ${order}) AS n, * FROM (SELECT ${[...keys, 'event_us', arrived, ...values].join(', ')} FROM (${events}))`,
    signal,
  ).catch(async (error: unknown) => {
    if (!(error instanceof InputError)) throw error
    await checkTimestamps(connection, relation)
    throw new InputError(`source ${relation.source.name}: ${error.message}`, error.context, { cause: error })
  })
  await refuseNullKeys(connection, group, relation, range)
  const [count] = await query(connection, `SELECT count(*) AS events FROM ${sorted}`)
  return Number(count?.['events'])
}

async function refuseNullKeys(
  connection: DuckDBConnection,
  group: FeatureGroup,
  relation: SourceRelation,
  range: IntervalRange,
): Promise<void> {
  for (const [index, name] of Object.keys(group.entity.keys).entries()) {
    const isNull = `k${index} IS NULL`
    const { count, first } = await countEvents(
      connection,
      relation,
      mapColumns(group),
      isNull,
      eventsOf(group, range),
    )
    if (count === 0) continue
    throw new InputError(
      `feature group ${group.id}: ${count} events of source ${relation.source.name} have no ${name}, a key of entity ${group.entity.name}; the first is of ${first}. Fill it in or leave these events out.`,
      { group: group.id, source: relation.source.name, key: name, count, first },
    )
  }
}
