/** Values of a group, decoded: for commands and tests, which look at few. What serves them takes the bytes (`cursor.ts`). */
import type { KeyColumns } from './key.ts'
import { fetchGroup } from './read.ts'
import type { GroupCard, GroupFound, KeyValue, OnlineStore, StoredValue } from './store.ts'
import { decodeBody, decodeHeader } from './value.ts'

export interface ReadGroup {
  readonly card: GroupCard
  /** In the order of the asked keys; null where there is none, or a tombstone. */
  readonly values: readonly (StoredValue | null)[]
}

/** @param ask makes the keys from the group's key columns. Null where the store does not know the group. */
export async function readGroup(
  store: OnlineStore,
  group: string,
  ask: (columns: KeyColumns) => readonly (readonly KeyValue[])[],
): Promise<ReadGroup | null> {
  const found = await fetchGroup(store, group, ask)
  return found === null
    ? null
    : { card: found.card, values: found.values.map((bytes) => decoded(found, bytes)) }
}

function decoded({ schemaOf }: GroupFound, bytes: Buffer | null): StoredValue | null {
  if (bytes === null) return null
  const { tag, eventTimestampMicros } = decodeHeader(bytes)
  if (tag === null) return null
  const schema = schemaOf(Number.parseInt(tag, 16))
  return { eventTimestampMicros, schema, values: decodeBody(schema, bytes) }
}
