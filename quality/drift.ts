/** What the two drift gates share: which features have a distribution, and how a drift is told. */
import type { FeatureType } from '../model/feature.ts'
import type { Gate } from '../model/gate.ts'
import { sharesOf, sumOf } from './divergence.ts'
import type { Bin, GateContext, Judgement, Sample } from './gate.ts'
import { counted, formatNumber, formatShare } from './sentences.ts'

export type Drift = Gate<string, 'psi' | 'jensen_shannon'>

const binned: readonly FeatureType[] = [
  ...(['int32', 'int64', 'float32', 'float64'] as const),
  ...(['string', 'boolean'] as const),
]
/** The name of the bin of nulls; those of strings stand in quotation marks. */
export const nullBin = 'null'
const sampleSize = 10

export function refusesDrift(type: FeatureType): string | null {
  return binned.includes(type) ? null : `it needs a number, a string or a boolean, not a ${type}`
}

/** @param terms what each bin adds to the drift; they add up to it */
export function judgeDrift(
  gate: Drift,
  { published }: GateContext,
  bins: readonly Bin[],
  terms: readonly number[],
): Judgement {
  const { max, last } = gate.params
  const [before, staged] = [sumOf(bins.map((bin) => bin.published)), sumOf(bins.map((bin) => bin.staged))]
  const known = { published: before, staged, bins: bins.length, max }
  // A feature that was added to the group is null in all that was published before.
  const compares = bins.some(({ bin, published: count }) => bin !== nullBin && count > 0)
  if (!compares || staged === 0) {
    const nothing = compares ? 'no row was staged' : 'no value was published before'
    return {
      ok: true,
      sentence: `${nothing}, so there is nothing to compare`,
      violationCount: 0,
      figures: { ...known, drift: null },
    }
  }
  // The terms of equal shares may add up to a hair below 0.
  const drift = Math.max(0, sumOf(terms))
  const sample = movedMost(bins, terms)
  const [first] = sample
  const moved = drift > 0 && first !== undefined ? `; ${toldBin(first)}` : ''
  return {
    ok: drift <= max,
    sentence: `${formatNumber(drift)} between ${counted(staged, 'value')} and the ${formatNumber(before)} of the last ${counted(published(last).intervals, 'interval')} published before, at most ${formatNumber(max)} may be${moved}`,
    violationCount: 0,
    figures: { ...known, drift },
    sample,
  }
}

function toldBin(row: Sample[number]): string {
  return `the bin ${row['bin']} moved most, from ${row['published']} to ${row['staged']}`
}

function movedMost(bins: readonly Bin[], terms: readonly number[]): Sample {
  const [before, now] = [
    sharesOf(bins.map(({ published }) => published)),
    sharesOf(bins.map(({ staged }) => staged)),
  ]
  return bins
    .map(({ bin }, at) => ({ bin, before: before[at] ?? 0, now: now[at] ?? 0, term: terms[at] ?? 0 }))
    .sort((left, right) => right.term - left.term)
    .slice(0, sampleSize)
    .map(({ bin, before, now, term }) => ({
      bin,
      published: formatShare(before),
      staged: formatShare(now),
      'adds to the drift': formatNumber(term),
    }))
}
