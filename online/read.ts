/** How a stored value is judged when it is read (rule 10): pure arithmetic over a group's card, a value and now. */
import { InputError, type EpochMs, type FeatureType } from '../model/index.ts'
import type { FeatureValue, GroupCard, LoadMark, StoredValue, ValueSchema } from './store.ts'

export type ValueStatus = 'PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE'

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

/**
 * Makes the judge of one request. ttl is closed at its end (rule 4): a value whose event timestamp is exactly
 * `now - ttl` still counts. A feature that the value's schema does not have yet is null there, as it is in the table.
 *
 * @param names the features that are wanted, in order; all of the card's where it is left out
 * @throws InputError where the group has no such feature
 */
export function createJudge(
  card: GroupCard,
  nowMs: EpochMs,
  names: readonly string[] = card.schema.features.map(({ name }) => name),
): (value: StoredValue | null) => EntityReading {
  const wanted = names.map((name) => findFeature(card, name))
  const oldestMicros =
    card.ttlMs === null ? null : BigInt(Math.floor(nowMs)) * 1000n - BigInt(card.ttlMs) * 1000n
  const places = new Map<ValueSchema, readonly Place[]>()
  const missing: EntityReading = {
    eventTimestampMicros: null,
    features: wanted.map((feature) => absent(card, feature, 'NOT_FOUND')),
  }
  return (stored) => {
    if (stored === null) return missing
    const { schema, eventTimestampMicros, values } = stored
    const expired = oldestMicros !== null && eventTimestampMicros < oldestMicros
    let there = places.get(schema)
    if (there === undefined) places.set(schema, (there = wanted.map((feature) => placeIn(schema, feature))))
    const features = there.map(({ name, type, at }, index): FeatureReading => {
      const value = values[at] ?? null
      if (value !== null && !expired) return { name, type, status: 'PRESENT', value }
      return absent(card, wanted[index] ?? { name, type }, expired ? 'OUTSIDE_MAX_AGE' : 'NULL_VALUE')
    })
    return { eventTimestampMicros, features }
  }
}

/** A default is of the type that the card says, whatever type an older value has. */
function absent(
  { defaults }: GroupCard,
  { name, type }: ValueSchema['features'][number],
  status: ValueStatus,
): FeatureReading {
  return { name, type, status, value: Object.hasOwn(defaults, name) ? (defaults[name] ?? null) : null }
}

/** Where a wanted feature stands in the values of a schema, and its type there; -1 where it is not in it. */
interface Place {
  readonly name: string
  readonly type: FeatureType
  readonly at: number
}

function placeIn(schema: ValueSchema, feature: ValueSchema['features'][number]): Place {
  const at = schema.features.findIndex(({ name }) => name === feature.name)
  return { ...(schema.features[at] ?? feature), at }
}

function findFeature({ group, schema }: GroupCard, name: string): ValueSchema['features'][number] {
  const found = schema.features.find((feature) => feature.name === name)
  if (found !== undefined) return found
  const there = schema.features.map((feature) => feature.name).join(', ')
  throw new InputError(`group ${group} has no feature ${JSON.stringify(name)}. It has ${there}.`, {
    group,
    feature: name,
  })
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
