/**
 * A training set's files.
 *
 * ```
 * <training>/<id>/plan.json                    what it is made of: pins, definitions, labels; its hash is in the id
 * <training>/<id>/part-00003.json              a part that is done: its file, counts and digests
 * <training>/labels/<uuid>.parquet             the labels as they were kept, with their numbers
 * <place>/part-00003-<attempt>.parquet         the rows, in the labels' order; or .arrow, where that was asked for
 * <place>/unmatched-00003-<attempt>.parquet    labels that found nothing, where that was asked for
 * <place>/manifest.json                        what the set is; its existence says "done"
 * ```
 *
 * The place is the set's own folder unless the request names another. Temporal carries paths and counts.
 */
import type {
  FeatureDefault,
  FeatureType,
  IntervalRange,
  KeyType,
  TrainingRequest,
} from '../../model/index.ts'
import type { FeatureFingerprints } from '../../registry/index.ts'
import type { GroupPin } from './pinGroup.ts'

export interface PlannedFeature {
  readonly name: string
  readonly type: FeatureType
  /** What it is called in the set. */
  readonly column: string
  /** As a value of its type, int64 and instants as text; null where there is none. */
  readonly default: FeatureDefault | null
  /** Only read by an on-demand function. */
  readonly hidden: boolean
}

/** A group under some keys: the same group under others is another selection. */
export interface PlannedSelection {
  readonly pin: GroupPin
  readonly role: string | null
  /** How it is called in the manifest: the role, or the group's id. */
  readonly name: string
  readonly keys: readonly { readonly name: string; readonly type: KeyType; readonly column: string }[]
  readonly features: readonly PlannedFeature[]
  readonly fingerprints: FeatureFingerprints
  readonly ttlMs: number | null
  /** Intervals in the labels' range that were due and never published. */
  readonly missing: readonly IntervalRange[]
  readonly missingIntervals: number
  /** Requested features with how many published intervals of the range were computed by another definition, or never. */
  readonly mixed: Readonly<Record<string, number>>
  /** Requested features with how many published intervals of the range had them filled into rows that were there. */
  readonly filled: Readonly<Record<string, number>>
}

export interface PlannedOnDemand {
  readonly name: string
  readonly hash: string
  /** Label columns by the name in the request. */
  readonly request: Readonly<Record<string, string>>
  readonly columns: readonly Pick<PlannedFeature, 'name' | 'type' | 'default'>[]
}

export interface TrainingPlan {
  readonly id: string
  readonly name: string
  readonly request: TrainingRequest
  /** An absolute folder for the result, where the request names one. */
  readonly output: string | null
  readonly plannedAt: string
  readonly labels: {
    /** A location. */
    readonly path: string
    readonly rows: number
    readonly contentHash: string
    /** Of its blocks, in order; parts begin where blocks do, and have these for their label columns. */
    readonly digests: readonly string[]
    readonly timeColumn: string
    readonly columns: readonly { readonly name: string; readonly type: string }[]
    /** Microseconds since the epoch; null where there are no labels. */
    readonly range: { readonly from: string; readonly to: string } | null
  }
  readonly selections: readonly PlannedSelection[]
  readonly onDemand: readonly PlannedOnDemand[]
  readonly parts: number
  readonly partRows: number
}

/** A part that is done. */
export interface PartFile {
  readonly file: string
  /** SHA-256 of an Arrow file's bytes, in hex; null for Parquet, of which the digests say what is in it. */
  readonly arrowHash: string | null
  readonly unmatched: string | null
  readonly rows: number
  /** How many labels found a row, by selection. */
  readonly matched: readonly number[]
  /** Of blocks, in order (`offline/contentHash.ts`). */
  readonly digests: readonly string[]
  readonly columns: readonly ColumnSummary[]
}

export interface ColumnSummary {
  readonly name: string
  readonly type: string
  readonly nulls: number
  /** Of scalars that are not null, as text; NaN is left out. */
  readonly min: string | null
  readonly max: string | null
}

export const planPathOf = (folder: string, id: string) => `${folder}/${id}/plan.json`
const numbered = (part: number) => String(part).padStart(5, '0')
export const partJsonPathOf = (planPath: string, part: number) =>
  planPath.replace(/plan\.json$/, `part-${numbered(part)}.json`)
export const partFileName = (part: number, attempt: string) => `part-${numbered(part)}-${attempt}.parquet`
export const unmatchedFileName = (part: number, attempt: string) =>
  `unmatched-${numbered(part)}-${attempt}.parquet`
/** What the event timestamp and the age of a selection's rows are called in the set. */
export const timestampColumns = (selection: string) => ({
  event: `${selection}__event_timestamp`,
  age: `${selection}__age_seconds`,
})
/** Keeps a snapshot as long as the set lives. */
export const tagOf = (id: string) => `training-${id}`

/** Where the result goes, as a location. */
export const placeOf = (planPath: string, output: string | null): string =>
  output === null ? planPath.replace(/\/plan\.json$/, '') : `file://${output}`

/** JSON has no bigint: such a default is kept as its digits. */
export function plannedDefault(given: FeatureDefault | undefined): FeatureDefault | null {
  if (given === undefined) return null
  if (typeof given === 'object') return given.map((one) => (typeof one === 'bigint' ? String(one) : one))
  return typeof given === 'bigint' ? String(given) : given
}
