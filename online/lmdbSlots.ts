/** The values that slots share (`slots.ts`) in LMDB's tables. */
import type { KeyRange, Table } from './lmdbTables.ts'
import { valuesName } from './slotId.ts'
import { slotOf, withoutSlot } from './slots.ts'
import type { SlotPlace } from './store.ts'

export interface EmptiedPage {
  readonly emptied: number
  /** Null after the last page. */
  readonly last: Buffer | null
}

/** Empties a slot in the values of a range. */
export function emptyPage(
  values: Table,
  range: KeyRange & { readonly limit: number },
  slot: SlotPlace,
): EmptiedPage {
  const entries = Array.from(values.getRange(range))
  let emptied = 0
  for (const { key, value } of entries) {
    if (slotOf(value, slot) === null) continue
    const rest = withoutSlot(value, slot)
    if (rest === null) values.removeSync(key)
    else values.putSync(key, rest)
    emptied++
  }
  return { emptied, last: entries.at(-1)?.key ?? null }
}

/** What was found under the keys of some texts, which slots of one service share. */
export interface SharedValues {
  readonly name: string
  readonly texts: readonly string[]
  readonly values: readonly (Buffer | null)[]
}

/** A slot's values; what another slot has looked up by the very same texts is not looked up again. */
export function slotsAmong(
  shared: SharedValues[],
  group: string,
  texts: readonly string[],
  slot: SlotPlace,
  lookUp: () => (Buffer | null)[],
): (Buffer | null)[] {
  const name = valuesName(group)
  let there = shared.find((one) => one.name === name && one.texts === texts)
  if (there === undefined) shared.push((there = { name, texts, values: lookUp() }))
  return there.values.map((bytes) => (bytes === null ? null : slotOf(bytes, slot)))
}
