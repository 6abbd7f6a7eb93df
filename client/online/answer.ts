/** What comes back: a body of `POST /online` in MessagePack, as one answer for each row that was asked. */
import type { AnyValue } from '../../model/answers.ts'
import { IntegrityError, InputError } from '../../model/errors.ts'
import { shapeOf, type FeatureType, type ScalarType } from '../../model/featureType.ts'
import type { Question } from './question.ts'

export type ValueStatus = 'PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE'

/** How old is what one group had to say. */
export interface GroupReading {
  /** Of the entity's row, expired or not, in microseconds since the epoch; null where there is none. */
  readonly eventTimestamp: bigint | null
  /** Since the group's last complete load. */
  readonly ageSeconds: number
  /** Whether that is longer than 1.5 times its cadence. */
  readonly stale: boolean
  readonly snapshotId: string
}

export interface Answer<Values = Readonly<Record<string, AnyValue>>> {
  /** By the feature's name; null, or the feature's default, for whatever is not PRESENT. */
  readonly values: Values
  readonly statuses: { readonly [Feature in keyof Values]: ValueStatus }
  /** The same values in the order in which the model takes them. */
  readonly vector: readonly AnyValue[]
  /** By the group's id, or by its role where it is taken in one. */
  readonly groups: Readonly<Record<string, GroupReading>>
  /** The instant of the answer on the store's clock, in microseconds since the epoch. */
  readonly asOf: bigint
}

/** As much of a body as is looked at. */
interface Body {
  readonly as_of: bigint | number | string
  readonly groups: readonly {
    readonly feature_group: string
    readonly role: string | null
    readonly age_seconds: number
    readonly stale: boolean
    readonly snapshot_id: string
  }[]
  readonly features: readonly { readonly name: string; readonly type: FeatureType }[]
  readonly results: readonly {
    readonly values: readonly AnyValue[]
    readonly statuses: readonly ValueStatus[]
    readonly event_timestamps: readonly (bigint | number | null)[]
  }[]
}

/**
 * Answers in the order of the rows. Features are found by name, so a reader that serves more of them than the definition
 * here knows gives the vector that the definition says.
 *
 * @throws InputError where the reader's definition lacks a feature, IntegrityError where its body is no answer
 */
export function readAnswers({ label, names }: Question, body: unknown, rows: number): Answer[] {
  if (!isBody(body) || body.results.length !== rows) {
    throw new IntegrityError(
      `${label}: the reader sent no answer for ${rows} rows. Is it of another version?`,
    )
  }
  const { groups, features, results } = body
  const asOf = instantOf(body.as_of) as bigint
  const places = names.map((name) => placeOf(name, features, label))
  const converters = places.map((at) => converterOf(features[at]?.type))
  return results.map(({ values, statuses, event_timestamps }) => {
    const vector = places.map((at, index) => (converters[index] ?? same)(values[at] ?? null))
    return {
      values: Object.fromEntries(names.map((name, index) => [name, vector[index] ?? null])),
      statuses: Object.fromEntries(
        names.map((name, index) => [name, statuses[places[index] ?? -1]]),
      ) as Record<string, ValueStatus>,
      vector,
      groups: Object.fromEntries(
        groups.map((group, at) => [
          group.role ?? group.feature_group,
          {
            eventTimestamp: bigintOf(event_timestamps[at] ?? null) as bigint | null,
            ageSeconds: group.age_seconds,
            stale: group.stale,
            snapshotId: group.snapshot_id,
          },
        ]),
      ),
      asOf,
    }
  })
}

function isBody(body: unknown): body is Body {
  const { as_of, groups, features, results } = (body ?? {}) as Partial<Record<keyof Body, unknown>>
  return instantOf(as_of) !== null && [groups, features, results].every((part) => Array.isArray(part))
}

/** Microseconds as they are, or the text that heads of answers have in both forms. */
function instantOf(value: unknown): bigint | null {
  if (typeof value === 'bigint') return value
  const micros = typeof value === 'string' ? Date.parse(value) * 1000 : value
  return Number.isSafeInteger(micros) ? BigInt(micros as number) : null
}

function placeOf(name: string, features: Body['features'], label: string): number {
  const at = features.findIndex((feature) => feature.name === name)
  if (at >= 0) return at
  throw new InputError(
    `${label}: the reader serves no ${name} in it, but ${features.map((feature) => feature.name).join(', ')}. Its definition is another one than the client's: apply the newer one, or deploy it here.`,
    { feature: name },
  )
}

type Convert = (value: AnyValue) => AnyValue
const same: Convert = (value) => value
/** MessagePack may write a small integer in fewer than 64 bits, which then comes as a number. */
const bigintOf: Convert = (value) => (typeof value === 'number' ? BigInt(value) : value)
/** And a float without a fraction as an integer. */
const numberOf: Convert = (value) => (typeof value === 'bigint' ? Number(value) : value)

const scalarConverters: Readonly<Record<ScalarType, Convert>> = {
  boolean: same,
  string: same,
  int32: numberOf,
  float32: numberOf,
  float64: numberOf,
  int64: bigintOf,
  timestamp: bigintOf,
}

function converterOf(type: FeatureType | undefined): Convert {
  if (type === undefined) return same
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return scalarConverters[shape.scalar]
  const convert = scalarConverters[shape.element]
  return (value) =>
    Array.isArray(value) ? value.map((element: AnyValue) => convert(element) as never) : value
}
