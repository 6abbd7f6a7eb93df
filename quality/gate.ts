/**
 * What a gate is: figures over all staged rows, a judgement of them, and a query whose rows are the violations.
 *
 * Rows stay in DuckDB. The figures of all gates are taken in one pass over the staged rows; a gate that compares
 * distributions has DuckDB count them into bins; violations are only looked up for a gate that found some, ten at most.
 * A new gate is a file with one export, a word in `model/gate.ts`, its rule in `model/checkGates.ts` and a line in
 * `gates.ts`.
 */
import type { FeatureType } from '../model/feature.ts'
import type { Gate, GateKind } from '../model/gate.ts'
import type { IntervalRange } from '../model/time.ts'

/** Rows that were published before the run's first interval. */
export interface History {
  /** SQL relation; may be empty. */
  readonly relation: string
  /** How many intervals it covers. */
  readonly intervals: number
}

export interface GateContext {
  /** SQL relation of the run's staged rows, as a consumer sees them. */
  readonly staged: string
  /** The last so many intervals published before the run, up to `historyIntervals(gates)`, or as many as there are. */
  published(last: number): History
  readonly keys: readonly string[]
  readonly features: Readonly<Record<string, FeatureType>>
  /** What the run covers. */
  readonly ranges: readonly IntervalRange[]
  /** How many intervals that is. */
  readonly intervals: number
}

export type Figures = Readonly<Record<string, number | null>>

/** How many published and staged values a bin of a distribution holds. */
export interface Bin {
  readonly bin: string
  readonly published: number
  readonly staged: number
}

/** Offending rows as text, by column name. */
export type Sample = readonly Readonly<Record<string, string | null>>[]

export interface Judgement {
  readonly ok: boolean
  /** With the figures, without the gate's name. */
  readonly sentence: string
  /** Offending rows; 0 where the run as a whole is judged. */
  readonly violationCount: number
  readonly figures: Figures
  /** What stands for the violations of a gate that cannot name rows. */
  readonly sample?: Sample
}

export interface QualityGate<Kind extends GateKind = GateKind> {
  /** Why the gate cannot check a feature of this type; null where it can. Asked of each of the gate's features. */
  refuses(type: FeatureType, gate: Gate<string, Kind>, feature: string): string | null
  /** SQL by figure: aggregates over the staged rows, or scalar subqueries. */
  figures(gate: Gate<string, Kind>, context: GateContext): Readonly<Record<string, string>>
  /** SELECT of `bin`, `published` and `staged`, in a certain order; null where nothing is there to compare with. */
  bins?(gate: Gate<string, Kind>, context: GateContext): string | null
  /** Pure: decides on the figures and bins alone. */
  judge(gate: Gate<string, Kind>, figures: Figures, context: GateContext, bins: readonly Bin[]): Judgement
  /** SELECT of the offending rows as text, in one certain order, without a limit; null where no row can be named. */
  violations(gate: Gate<string, Kind>, context: GateContext): string | null
}
