/**
 * The purity check of map groups: a group's function runs twice over the same windows of real events, the second time with
 * the entities in another order (comparePasses.ts).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import type { BoundGroup } from '../model/bound.ts'
import type { MapInput } from '../model/compute.ts'
import { alignUp, durationMs, formatInstant } from '../model/time.ts'
import { shown } from '../model/callFunction.ts'
import { duckdbTypes } from './columnType.ts'
import { comparePasses } from './comparePasses.ts'
import { eventValues } from './computeMap.ts'
import { query, type Row } from './duckdb.ts'
import { mapColumns, mapOf, valueSql } from './mapEvents.ts'
import { runMap } from './runMap.ts'
import { selectEvents, type SourceRelation } from './source.ts'

const sampledEntities = 40
const sampledEvents = 200

/**
 * Checks a map group; other groups have no function of TypeScript.
 *
 * @throws InputError that names the group, the feature and the difference, or what the function touched.
 */
export async function checkPurity(
  connection: DuckDBConnection,
  bound: BoundGroup,
  relations: readonly SourceRelation[],
): Promise<void> {
  const [relation] = relations
  if (bound.group.compute.kind !== 'map' || relation === undefined) return
  compareWindows(bound, await sampleWindows(connection, bound, relation))
}

/** @throws InputError as `checkPurity` does, over windows that are already there. */
export function compareWindows(bound: BoundGroup, windows: readonly MapInput[]): void {
  const { group, features } = bound
  comparePasses(
    {
      ...{ what: `feature group ${group.id}`, context: { group: group.id }, features },
      run: (window) => runMap(bound, window),
      shownInput: ({ key, at }) => `${shown(key)} at ${formatInstant(at)}`,
      again: 'the same events under another time zone and with the entities in another order',
    },
    windows,
  )
}

/** For some entities, chosen by a hash: the window at their newest event, one in the middle, and an empty one. */
async function sampleWindows(
  connection: DuckDBConnection,
  { group, keys }: BoundGroup,
  relation: SourceRelation,
): Promise<MapInput[]> {
  const { columns, over } = mapOf(group)
  const names = keys.map((_, index) => `k${index}`)
  const values = columns.map((name, index) => `${valueSql(group, relation, name, `c${index}`)} AS c${index}`)
  const typed = keys.map(
    ({ name, type }, index) => `CAST(k${index} AS ${duckdbTypes[type]}) AS ${quoteIdentifier(`key ${name}`)}`,
  )
  const rows = await query(
    connection,
    `WITH events AS (SELECT ${[...names, 'event_us', ...values].join(', ')} FROM (${selectEvents(relation, mapColumns(group))})
       WHERE ${names.map((name) => `${name} IS NOT NULL`).join(' AND ')}),
     entities AS (SELECT DISTINCT ${names.join(', ')} FROM events ORDER BY hash(${names.join(', ')}), ${names.join(', ')} LIMIT ${sampledEntities})
     SELECT *, ${typed.join(', ')} FROM events SEMI JOIN entities USING (${names.join(', ')})
     QUALIFY row_number() OVER (PARTITION BY ${names.join(', ')} ORDER BY event_us DESC) <= ${sampledEvents}
     ORDER BY ${[...names, 'event_us', ...columns.map((_, index) => `c${index}`)].join(', ')}`,
  )
  const entities = new Map<string, Row[]>()
  for (const row of rows) {
    const entity = JSON.stringify(names.map((name) => String(row[name])))
    entities.set(entity, [...(entities.get(entity) ?? []), row])
  }
  return [...entities.values()].flatMap((events) => {
    const every = durationMs(group.every)
    const key = Object.fromEntries(keys.map(({ name }) => [name, events[0]?.[`key ${name}`] as string]))
    const windowAt = (at: number): MapInput => ({
      key: Object.freeze(key),
      at,
      events: events
        .filter((row) => usOf(row) >= (at - durationMs(over)) * 1000 && usOf(row) < at * 1000)
        .map((row) => eventValues(columns, row)),
    })
    const after = (row: Row | undefined) => alignUp(Math.floor(usOf(row) / 1000) + 1, every)
    const last = after(events.at(-1))
    const empty = alignUp(last + durationMs(over), every)
    return [windowAt(last), windowAt(after(events[Math.floor(events.length / 2)])), windowAt(empty)]
  })
}

const usOf = (row: Row | undefined) => Number(row?.['event_us'])
