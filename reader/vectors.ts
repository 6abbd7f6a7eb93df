/**
 * Reads the vectors of a plan: one round trip to the online store for all groups, then a cursor per lookup, and the values
 * that functions make, by the very function that training calls.
 */
import { runOnDemand, shapeOf, type EpochMs, type FunctionValue, type OnDemandValue } from '../model/index.ts'
import {
  GroupCursor,
  type FeatureValue,
  type GroupFound,
  type LoadMark,
  type OnlineStore,
} from '../online/index.ts'
import { InputError, type FeatureType } from '../model/index.ts'
import type { AskedRows } from './body.ts'
import { nothingThere, NotLoadedError } from './errors.ts'
import { columnOf, lookupColumns, type OnDemandStep, type ReadPlan, type StoredColumn } from './plan.ts'
import { requestValues } from './requestValues.ts'
import { askedKeys, type AskedKeys } from './rows.ts'
import { fetchSlots, type Fetched } from './slots.ts'

/** One lookup of a plan, read. */
export interface ReadLookup {
  readonly cursor: GroupCursor
  /** The key texts that were asked for. */
  readonly texts: AskedKeys['texts']
  readonly places: AskedKeys['places']
  readonly complete: LoadMark
}

export interface Vectors {
  readonly plan: ReadPlan
  readonly rows: number
  readonly nowMs: EpochMs
  readonly lookups: readonly ReadLookup[]
  /** What functions were given, by name and row. */
  readonly request: ReadonlyMap<string, readonly OnDemandValue[]>
  /** By row, what functions made, in the order of the plan; empty where there are none. */
  readonly made: readonly (readonly FunctionValue[])[]
}

/** What all questions share. */
export interface Reading {
  readonly store: OnlineStore
  readonly nowMs: () => EpochMs
  /** Groups that the store had: one of them that it has no more is lost, not unknown. */
  readonly seen: Set<string>
}

export interface ReadOptions {
  /** Passes over columns of entities that nothing is looked up by. */
  readonly allowStray?: boolean
}

/**
 * @throws InputError for a question that cannot be answered, NotFoundError, NotLoadedError, UnavailableError
 */
export async function readVectors(
  { store, nowMs, seen }: Reading,
  plan: ReadPlan,
  rows: AskedRows,
  { allowStray = false }: ReadOptions = {},
): Promise<Vectors> {
  const request = requestValues(plan.request, rows)
  const slots = plan.preJoined ? await fetchSlots(store, plan, rows) : null
  const { found, asked } = slots ?? (await fetchGroups(store, plan, rows))
  const now = nowMs()
  const lookups: ReadLookup[] = []
  for (const [at, lookup] of plan.lookups.entries()) {
    const one = found[at] ?? null
    if (one === null) {
      throw await nothingThere(store, lookup.group, plan.service !== null || seen.has(lookup.group))
    }
    seen.add(lookup.group)
    const { complete } = one.card
    if (complete === null) throw new NotLoadedError(lookup.group)
    const cursor = new GroupCursor(one, now, lookup.features)
    const { texts = [], places = null } = asked[at] ?? {}
    lookups.push({ cursor, complete, texts, places })
  }
  if (!allowStray) refuseStray(plan, found, rows)
  const made = plan.onDemand.length === 0 ? [] : makeValues(plan, lookups, request, rows.count, now)
  return { plan, rows: rows.count, nowMs: now, lookups, request, made }
}

async function fetchGroups(store: OnlineStore, { lookups }: ReadPlan, rows: AskedRows): Promise<Fetched> {
  const asked: AskedKeys[] = []
  const found = await store.fetch(
    lookups.map((lookup, at) => ({
      group: lookup.group,
      keys: (columns) => (asked[at] = askedKeys(columns, lookup, rows)).texts,
    })),
  )
  return { found, asked }
}

/** Where a stored column is taken from. */
export interface StoredPlace {
  readonly cursor: GroupCursor
  readonly feature: number
  /** How many columns from this one on are neighbouring features of one lookup. */
  readonly together: number
}

export function storedPlaces({ plan, lookups }: Vectors): StoredPlace[] {
  return plan.stored.map(({ lookup, feature, together }) => {
    return { cursor: (lookups[lookup] as ReadLookup).cursor, feature, together }
  })
}

/** Puts every cursor at a row. */
export function moveTo(lookups: readonly ReadLookup[], row: number): void {
  for (const { cursor, places } of lookups) cursor.moveTo(places === null ? row : (places[row] as number))
}

/** A column that nothing is looked up by is a misspelt one, or one of another model. */
function refuseStray(plan: ReadPlan, found: readonly (GroupFound | null)[], { entities }: AskedRows): void {
  const isKey = (name: string) =>
    plan.lookups.some((lookup, at) => found[at]?.card.keys.some((key) => columnOf(lookup, key.name) === name))
  for (const name of entities.keys()) {
    if (plan.request.has(name) || isKey(name)) continue
    const used = plan.lookups.flatMap((lookup, at) => lookupColumns(lookup, found[at]?.card.keys ?? []))
    throw new InputError(
      `entities has ${JSON.stringify(name)}, by which nothing is looked up. The keys are ${[...new Set(used)].join(', ')}.`,
      { column: name },
    )
  }
}

function makeValues(
  { onDemand }: ReadPlan,
  lookups: readonly ReadLookup[],
  request: ReadonlyMap<string, readonly OnDemandValue[]>,
  count: number,
  at: EpochMs,
): FunctionValue[][] {
  return Array.from({ length: count }, (_, row) => {
    moveTo(lookups, row)
    return onDemand.flatMap((step) => runOnDemand(step.onDemand, inputOf(step, lookups, request, row, at)))
  })
}

const inputOf = (
  step: OnDemandStep,
  lookups: readonly ReadLookup[],
  request: ReadonlyMap<string, readonly OnDemandValue[]>,
  row: number,
  at: EpochMs,
) => ({
  request: Object.fromEntries(step.request.map((name) => [name, request.get(name)?.[row] ?? null])),
  features: Object.fromEntries(step.reads.map((column) => [column.name, seenValue(lookups, column)])),
  at,
})

function seenValue(lookups: readonly ReadLookup[], { lookup, feature }: StoredColumn): OnDemandValue {
  const { cursor } = lookups[lookup] as ReadLookup
  return seen((cursor.features[feature] as { type: FeatureType }).type, cursor.value(feature))
}

/** As functions see values everywhere: instants in milliseconds since the epoch. */
function seen(type: FeatureType, value: FeatureValue): OnDemandValue {
  const shape = shapeOf(type)
  const isInstant =
    shape.kind === 'vector' ? false : (shape.kind === 'scalar' ? shape.scalar : shape.element) === 'timestamp'
  if (!isInstant || value === null) return value
  return Array.isArray(value) ? value.map(msOf) : msOf(value)
}

const msOf = (micros: unknown) => (micros === null ? null : Number(micros) / 1000)
