/**
 * Quality gates, as data. What each one checks is in `quality/`, one file each, under the same name.
 *
 * A gate looks at the staged rows of one run and names the rows that violate it. `onViolation` says what follows:
 * `block` leaves the published table and the online store as they are until somebody decides; `warn` only says so.
 */
export const gateKinds = ['not_empty', 'null_rate', 'in_range', 'unique_rows', 'row_count'] as const
export type GateKind = (typeof gateKinds)[number]

export interface Gate<Feature extends string = string> {
  readonly gate: GateKind
  /** Null for gates on whole rows. */
  readonly feature: Feature | null
  readonly params: Readonly<Record<string, number>>
  readonly onViolation: 'block' | 'warn'
}

export interface GateOptions {
  onViolation?: 'block' | 'warn'
}

const gate = <Feature extends string>(
  kind: GateKind,
  feature: Feature | null,
  params: Record<string, number>,
  options: GateOptions = {},
): Gate<Feature> => ({ gate: kind, feature, params, onViolation: options.onViolation ?? 'block' })

/** At least one row was staged. */
export const notEmpty = (options?: GateOptions): Gate<never> => gate<never>('not_empty', null, {}, options)

/** At most the share `max` (0 to 1) of the feature's values is null. */
export const nullRate = <const Feature extends string>(
  feature: Feature,
  { max, ...options }: { max: number } & GateOptions,
): Gate<Feature> => gate('null_rate', feature, { max }, options)

/** Every value that is not null lies within `min` and `max`, both included. NaN lies nowhere. */
export const inRange = <const Feature extends string>(
  feature: Feature,
  min: number,
  max: number,
  options?: GateOptions,
): Gate<Feature> => gate('in_range', feature, { min, max }, options)

/** No two rows share their keys, event timestamp and created timestamp. */
export const uniqueRows = (options?: GateOptions): Gate<never> =>
  gate<never>('unique_rows', null, {}, options)

/**
 * Rows per interval, against the mean of the `last` intervals published before the run's: at least `min` and at most
 * `max` times as many. Passes, and says so, where nothing was published before.
 */
export const rowCount = ({
  min,
  max,
  last = 24,
  ...options
}: { min: number; max: number; last?: number } & GateOptions): Gate<never> =>
  gate<never>('row_count', null, { min, max, last }, options)

/** `null_rate(mean_delay_24h)`, as reports and errors name a gate. */
export function gateName({ gate: kind, feature }: Gate): string {
  return feature === null ? kind : `${kind}(${feature})`
}

/** What a gate found. Counts are over all staged rows; `violations` is a sample. */
export interface GateReport {
  readonly name: string
  readonly verdict: 'pass' | 'warn' | 'block'
  /** One sentence with the figures. */
  readonly sentence: string
  readonly figures: Readonly<Record<string, number | null>>
  readonly violationCount: number
  /** At most ten of the offending rows, as text. */
  readonly violations: readonly Readonly<Record<string, string | null>>[]
}
