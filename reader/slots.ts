/**
 * Reads a pre-joined service from its slots: one key per entity, whatever the number of groups. What is found is said to be
 * of the groups themselves, as old as the slots are.
 */
import type { GroupCard, GroupFound, KeyColumns, OnlineStore } from '../online/index.ts'
import type { AskedRows } from './body.ts'
import type { Lookup, ReadPlan } from './plan.ts'
import { askedKeys, type AskedKeys } from './rows.ts'

/** What was found of a plan's lookups, and by which keys. */
export interface Fetched {
  readonly found: readonly (GroupFound | null)[]
  readonly asked: readonly AskedKeys[]
}

/**
 * Null where one of the slots was never loaded completely. The groups have the same values then, under a key each: a
 * service that was just applied is served at once, and what is lost is told by them.
 */
export async function fetchSlots(
  store: OnlineStore,
  { lookups }: ReadPlan,
  rows: AskedRows,
): Promise<Fetched | null> {
  const slots = lookups.flatMap(({ slot }) => slot ?? [])
  const keys = oneList(lookups, rows)
  const asked: AskedKeys[] = []
  const found = await store.fetch(
    slots.map((slot, at) => ({ group: slot, keys: (columns) => (asked[at] = keys(columns)).texts })),
  )
  const whole = found.flatMap((one, at) => {
    const { group } = lookups[at] as Lookup
    return one === null || one.card.complete === null ? [] : [{ ...one, card: cardOfGroup(one.card, group) }]
  })
  return whole.length < slots.length ? null : { found: whole, asked }
}

/** All slots are of one entity: the very same list of texts for each of them tells the store to look them up once. */
function oneList(lookups: readonly Lookup[], rows: AskedRows): (columns: KeyColumns) => AskedKeys {
  let there: { readonly columns: string; readonly keys: AskedKeys } | null = null
  return (given) => {
    const columns = JSON.stringify(given)
    if (there?.columns !== columns) {
      there = { columns, keys: askedKeys(given, lookups[0] as Lookup, rows) }
    }
    return there.keys
  }
}

/** By a slot's card. What is derived from cards is kept by card, so each has one. */
const known = new WeakMap<GroupCard, GroupCard>()

function cardOfGroup(card: GroupCard, group: string): GroupCard {
  const there = known.get(card)
  if (there !== undefined) return there
  const named = { ...card, group }
  known.set(card, named)
  return named
}
