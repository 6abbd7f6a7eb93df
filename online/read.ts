/** What is read of a group, as values: for commands and tests. What serves takes text and bytes from the cursor. */
import type { EpochMs, FeatureType } from '../model/index.ts'
import { GroupCursor, type ValueStatus } from './cursor.ts'
import { keyText, type KeyColumns } from './key.ts'
import type { FeatureValue, GroupCard, GroupFound, KeyValue, LoadMark, OnlineStore } from './store.ts'

export interface FeatureReading {
  readonly name: string
  readonly type: FeatureType
  readonly status: ValueStatus
  /** Unless `status` is PRESENT, the feature's default, or null where it has none. */
  readonly value: FeatureValue
}

export interface EntityReading {
  /** Of the stored row, expired or not; null where there is none. */
  readonly eventTimestampMicros: bigint | null
  readonly features: readonly FeatureReading[]
}

/** A reading of every asked entity, in their order. @throws InputError where the group has no such feature */
export function readingsOf(found: GroupFound, nowMs: EpochMs, names?: readonly string[]): EntityReading[] {
  const cursor = new GroupCursor(found, nowMs, names)
  return found.values.map((_, place) => {
    cursor.moveTo(place)
    const features = cursor.features.map(({ name, type }, at) => ({
      ...{ name, type, status: cursor.status(at), value: cursor.value(at) },
    }))
    return { eventTimestampMicros: cursor.eventTimestampMicros, features }
  })
}

/** Asks one group for entities by their keys; null where the store does not know it. */
export async function fetchGroup(
  store: OnlineStore,
  group: string,
  ask: (columns: KeyColumns) => readonly (readonly KeyValue[])[],
): Promise<GroupFound | null> {
  const keys = (columns: KeyColumns) => ask(columns).map((key) => keyText(columns, key))
  const [found = null] = await store.fetch([{ group, keys }])
  return found
}

export interface GroupAge {
  /** Since the last complete load. */
  readonly ageMs: number
  /** Older than 1.5 times the cadence. */
  readonly stale: boolean
}

export function groupAge(
  { complete, cadenceMs }: Pick<GroupCard, 'cadenceMs'> & { readonly complete: LoadMark },
  nowMs: EpochMs,
): GroupAge {
  const ageMs = nowMs - complete.loadedAtMs
  return { ageMs, stale: ageMs > 1.5 * cadenceMs }
}
