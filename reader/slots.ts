/**
 * Reads a pre-joined service from its slots: one key per entity, whatever the number of groups. What is found is said to be
 * of the groups themselves, as old as the slots are.
 */
import {
  compareOrder,
  type GroupCard,
  type GroupFound,
  type KeyColumns,
  type OnlineStore,
} from '../online/index.ts'
import type { AskedRows } from './body.ts'
import type { Lookup, ReadPlan } from './plan.ts'
import { askedKeys, type AskedKeys } from './rows.ts'

/** What was found of a plan's lookups, and by which keys. */
export interface Fetched {
  readonly found: readonly (GroupFound | null)[]
  readonly asked: readonly AskedKeys[]
}

/**
 * Null where one of the slots is behind its group: it was never loaded completely, or a worker died between the two loads.
 * The groups are read then, under a key each. So a service that was just applied is served at once, what is lost is told by
 * the groups, and nothing older is served than what training takes to be known, which is a matter of the groups' loads.
 */
export async function fetchSlots(
  store: OnlineStore,
  { lookups }: ReadPlan,
  rows: AskedRows,
): Promise<Fetched | null> {
  const slots = lookups.flatMap(({ slot }) => slot ?? [])
  const keys = oneList(lookups, rows)
  const asked: AskedKeys[] = []
  // Of one moment with their groups' cards.
  const found = await store.fetch([
    ...slots.map((slot, at) => ({
      group: slot,
      keys: (columns: KeyColumns) => (asked[at] = keys(columns)).texts,
    })),
    ...lookups.map(({ group }) => ({ group, keys: noKeys })),
  ])
  const whole = slots.flatMap((_, at) => {
    const [one, group] = [found[at] ?? null, found[slots.length + at] ?? null]
    return one === null || isBehind(one.card, group?.card ?? null)
      ? []
      : [{ ...one, card: cardOfGroup(one.card, (lookups[at] as Lookup).group) }]
  })
  return whole.length < slots.length ? null : { found: whole, asked }
}

const noKeys = () => []

function isBehind(slot: GroupCard, group: GroupCard | null): boolean {
  if (slot.complete === null || group === null || group.complete === null) return true
  return compareOrder(slot.complete.order, group.complete.order) < 0
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
