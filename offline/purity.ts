/**
 * The purity check: a group's function runs twice over the same windows of real events, the second time with the entities
 * in another order and under another time zone, with clock, chance, network, files and locale trapped. A difference is an
 * error that names the feature.
 *
 * What it cannot see: a branch that no sampled window takes, and state that was set once and for all at the first call.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import type { BoundGroup } from '../model/bound.ts'
import type { MapInput } from '../model/compute.ts'
import { InputError } from '../model/errors.ts'
import { alignUp, durationMs, formatInstant } from '../model/time.ts'
import { duckdbTypes } from './columnType.ts'
import { eventValues } from './computeMap.ts'
import { query, type Row } from './duckdb.ts'
import { mapColumns, mapOf, valueSql } from './mapEvents.ts'
import { withTraps } from './purityTraps.ts'
import { runMap, shown } from './runMap.ts'
import { selectEvents, type SourceRelation } from './source.ts'

const sampledEntities = 40
const sampledEvents = 200
/** Seventeen and a half hours apart: hardly a date is the same in both. */
const zones = ['America/St_Johns', 'Pacific/Kiritimati'] as const

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
  comparePasses(bound, await sampleWindows(connection, bound, relation))
}

/** @throws InputError as `checkPurity` does, over windows that are already there. */
export function comparePasses(bound: BoundGroup, windows: readonly MapInput[]): void {
  const first = pass(bound, windows, zones[0])
  const order = windows.map((_, index) => index).reverse()
  const shuffled = pass(
    bound,
    order.map((index) => windows[index] as MapInput),
    zones[1],
  )
  for (const [place, index] of order.entries()) {
    const { key, at } = windows[index] as MapInput
    for (const [column, { name }] of bound.features.entries()) {
      const [one, other] = [shown(first[index]?.[column]), shown(shuffled[place]?.[column])]
      if (one === other) continue
      throw new InputError(
        `feature group ${bound.group.id}: feature ${name} is not pure: for ${shown(key)} at ${formatInstant(at)} its function gave ${one}, and ${other} for the same events under another time zone and with the entities in another order. Use nothing but the function's own arguments.`,
        { group: bound.group.id, feature: name },
      )
    }
  }
}

function pass(bound: BoundGroup, windows: readonly MapInput[], zone: string): unknown[][] {
  const before = process.env['TZ']
  process.env['TZ'] = zone
  try {
    const { result, error, touched } = withTraps(() => windows.map((window) => runMap(bound, window)))
    if (touched.length > 0) {
      const names = bound.features.map(({ name }) => name).join(', ')
      throw new InputError(
        `feature group ${bound.group.id}: ${bound.features.length === 1 ? `feature ${names} is` : `features ${names} are`} not pure: the function touched ${touched.join(' and ')}. Use nothing but the function's own arguments.`,
        { group: bound.group.id, touched: touched.join(', ') },
      )
    }
    if (result === undefined) throw error
    return result.map((values) => values.map(comparable))
  } finally {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  }
}

/** -0 and NaN are values of their own, and differ from what JSON makes of them. */
const comparable = (value: unknown) =>
  typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value))
    ? Object.is(value, -0)
      ? '-0'
      : String(value)
    : value

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
