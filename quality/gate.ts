/**
 * What a gate is: figures over all staged rows, a judgement of them, and a query whose rows are the violations.
 *
 * Rows stay in DuckDB. The figures of all gates are taken in one pass over the staged rows; violations are only looked
 * up for a gate that found some, ten at most. A new gate is a file with one export, a word in `model/gate.ts` and a
 * line in `gates.ts`.
 */
import type { FeatureType } from '../model/feature.ts'
import type { Gate } from '../model/gate.ts'

export interface GateContext {
  /** SQL relation of the run's staged rows, as a consumer sees them. */
  readonly staged: string
  /** SQL relation of the rows of the last `historyIntervals(gates)` intervals published before the run; may be empty. */
  readonly published: string
  readonly keys: readonly string[]
  readonly features: Readonly<Record<string, FeatureType>>
  /** How many intervals the run covers. */
  readonly intervals: number
  /** How many intervals `published` covers. */
  readonly publishedIntervals: number
}

export type Figures = Readonly<Record<string, number | null>>

export interface Judgement {
  readonly ok: boolean
  /** With the figures, without the gate's name. */
  readonly sentence: string
  /** Offending rows; 0 where the run as a whole is judged. */
  readonly violationCount: number
  readonly figures: Figures
}

export interface QualityGate {
  /** Why the gate cannot check a feature of this type; null where it can. */
  refuses(type: FeatureType): string | null
  /** SQL by figure: aggregates over the staged rows, or scalar subqueries. */
  figures(gate: Gate, context: GateContext): Readonly<Record<string, string>>
  /** Pure: decides on the figures alone. */
  judge(gate: Gate, figures: Figures, context: GateContext): Judgement
  /** SELECT of the offending rows as text, in one certain order, without a limit; null where no row can be named. */
  violations(gate: Gate, context: GateContext): string | null
}
