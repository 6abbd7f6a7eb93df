/**
 * Quality gates, as data. What each one checks is in `quality/`, one file each, under the same name.
 *
 * A gate looks at the staged rows of one run and names the rows that violate it. `onViolation` says what follows:
 * `block` leaves the published table and the online store as they are until somebody decides; `warn` only says so.
 *
 * Some compare with what is published: with the rows of the `last` intervals that were published before the run's first
 * one. Where nothing was, they pass and say so.
 */
import type { Literal } from './condition.ts'

export const gateKinds = [
  'not_empty',
  'null_rate',
  'in_range',
  'allowed_values',
  'unique_rows',
  'row_count',
  'coverage',
  'psi',
  'jensen_shannon',
  'known_values',
  'query',
] as const
export type GateKind = (typeof gateKinds)[number]

/** A value that a person knows: what the row of `keys` at the event timestamp `at` must hold. */
export interface KnownValue<Feature extends string = string> {
  readonly keys: Readonly<Record<string, string | number | bigint>>
  /** A day such as `2001-01-08` (midnight UTC) or an instant with its zone; an aggregate's row is stamped its interval's end. */
  readonly at: string
  readonly feature: Feature
  readonly value: Literal | null
  /** How far a number may lie off; 0, bit for bit, unless given. */
  readonly tolerance?: number
}

/** What a gate is set to, by its kind. */
export interface GateParams<Feature extends string = string> {
  readonly not_empty: Readonly<Record<string, never>>
  readonly null_rate: { readonly max: number }
  readonly in_range: { readonly min: number; readonly max: number }
  readonly allowed_values: { readonly values: readonly Literal[] }
  readonly unique_rows: Readonly<Record<string, never>>
  readonly row_count: { readonly min: number; readonly max: number; readonly last: number }
  readonly coverage: { readonly min: number; readonly last: number }
  readonly psi: DriftParams
  readonly jensen_shannon: DriftParams
  readonly known_values: { readonly fixtures: readonly KnownValue<Feature>[] }
  readonly query: { readonly name: string; readonly sql: string; readonly last: number }
}

export interface DriftParams {
  readonly max: number
  readonly bins: number
  readonly last: number
}

export interface Gate<Feature extends string = string, Kind extends GateKind = GateKind> {
  readonly gate: Kind
  /** Null for gates on whole rows or on several features. */
  readonly feature: Feature | null
  readonly params: GateParams<Feature>[Kind]
  readonly onViolation: 'block' | 'warn'
}

export interface GateOptions {
  onViolation?: 'block' | 'warn'
}

const gate = <Kind extends GateKind, Feature extends string>(
  kind: Kind,
  feature: Feature | null,
  params: GateParams<Feature>[Kind],
  options: GateOptions = {},
): Gate<Feature, Kind> => ({ gate: kind, feature, params, onViolation: options.onViolation ?? 'block' })

/** A gate that names no feature fits every group. */
const wholeRows = <Kind extends GateKind>(
  kind: Kind,
  params: GateParams<never>[Kind],
  options?: GateOptions,
): Gate<never, Kind> => gate<Kind, never>(kind, null, params, options)

/** At least one row was staged. */
export const notEmpty = (options?: GateOptions) => wholeRows('not_empty', {}, options)

/** At most the share `max` (0 to 1) of the feature's values is null. */
export const nullRate = <const Feature extends string>(
  feature: Feature,
  { max, ...options }: { max: number } & GateOptions,
) => gate('null_rate', feature, { max }, options)

/** Every value that is not null lies within `min` and `max`, both included. NaN lies nowhere. */
export const inRange = <const Feature extends string>(
  feature: Feature,
  min: number,
  max: number,
  options?: GateOptions,
) => gate('in_range', feature, { min, max }, options)

/** Every value that is not null is one of these. */
export const allowedValues = <const Feature extends string>(
  feature: Feature,
  values: readonly Literal[],
  options?: GateOptions,
) => gate('allowed_values', feature, { values }, options)

/** No two rows share their keys, event timestamp and created timestamp. */
export const uniqueRows = (options?: GateOptions) => wholeRows('unique_rows', {}, options)

/** Rows per interval, against the mean of the `last` published intervals: at least `min` and at most `max` times as many. */
export const rowCount = ({
  min,
  max,
  last = 24,
  ...options
}: { min: number; max: number; last?: number } & GateOptions) =>
  wholeRows('row_count', { min, max, last }, options)

/**
 * At least the share `min` (0 to 1) of the entities that were served before, those with a row in the `last` published
 * intervals (the newest one unless given), has a row in the run.
 */
export const coverage = ({ min, last = 1, ...options }: { min: number; last?: number } & GateOptions) =>
  wholeRows('coverage', { min, last }, options)

export interface DriftOptions extends GateOptions {
  /** The drift from which on the gate is violated. */
  max: number
  /** Into how many bins of about equal count the published values are cut. For strings: how many of the most frequent values are told apart. */
  bins?: number
  /** How many published intervals make up the distribution that is compared with. */
  last?: number
}

/**
 * The population stability index of the feature's distribution against the published one is at most `max`. By custom
 * 0.1 is a small change and 0.25 a great one; a few rows drift by chance, by about bins / rows.
 */
export const psi = <const Feature extends string>(
  feature: Feature,
  { max, bins = 10, last = 24, ...options }: DriftOptions,
) => gate('psi', feature, { max, bins, last }, options)

/** The Jensen-Shannon divergence, in bits (0 to 1), of the feature's distribution from the published one is at most `max`. */
export const jensenShannon = <const Feature extends string>(
  feature: Feature,
  { max, bins = 10, last = 24, ...options }: DriftOptions,
) => gate('jensen_shannon', feature, { max, bins, last }, options)

/** Rows that somebody knows hold what they must. Only those whose time lies inside the run's intervals are checked. */
export const knownValues = <const Feature extends string>(
  fixtures: readonly KnownValue<Feature>[],
  options?: GateOptions,
) => gate<'known_values', Feature>('known_values', null, { fixtures }, options)

/**
 * A SELECT whose rows are the violations, over the relations `staged` (the run's rows) and `published` (those of the
 * `last` published intervals), both with the table's columns: keys, `event_timestamp`, `created_timestamp`, `run_id`,
 * features.
 *
 * @example
 * queryGate('late_within_all', 'SELECT * FROM staged WHERE late_departures_24h > departures_24h')
 */
export const queryGate = (
  name: string,
  sql: string,
  { last = 24, ...options }: { last?: number } & GateOptions = {},
) => wholeRows('query', { name, sql, last }, options)

/** Whether the gate is of that kind, for the compiler to know its params. */
export function isGate<Kind extends GateKind>(one: Gate, kind: Kind): one is Gate<string, Kind> {
  return one.gate === kind
}

/** `null_rate(mean_delay_24h)`, as reports and errors name a gate; a query goes by its own name. */
export function gateName(one: Gate): string {
  const about = isGate(one, 'query') ? one.params.name : one.feature
  return about === null ? one.gate : `${one.gate}(${about})`
}

/** The features that a gate looks at; a query says for itself. */
export function featuresOfGate(one: Gate): string[] {
  if (isGate(one, 'known_values')) return [...new Set(one.params.fixtures.map(({ feature }) => feature))]
  return one.feature === null ? [] : [one.feature]
}

/** What a gate found. Counts are over all staged rows; `violations` is a sample. */
export interface GateReport {
  readonly name: string
  readonly verdict: 'pass' | 'warn' | 'block'
  /** One sentence with the figures. */
  readonly sentence: string
  readonly figures: Readonly<Record<string, number | null>>
  /** 0 where the run as a whole is judged. */
  readonly violationCount: number
  /** At most ten of the offending rows, as text; of a drift, the bins that moved most. */
  readonly violations: readonly Readonly<Record<string, string | null>>[]
}
