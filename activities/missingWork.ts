/**
 * What is missing in a range, by the fingerprints of the features that each interval covers.
 *
 * An interval of which a feature was computed otherwise than it would be now is missing as a whole; one that only lacks
 * features is filled (rule 6): they are computed into the rows that are there.
 */
import { rangesOf, type EpochMs, type IntervalRange } from '../model/index.ts'
import type { FeatureFingerprints, PublishedInterval } from '../registry/index.ts'

export interface MissingWork {
  readonly range: IntervalRange
  /** Features to fill in; null where whole rows are missing. */
  readonly fills: readonly string[] | null
}

/** In order of time, as `ends` must be. Neighbouring intervals that need the same are one range. */
export function missingWork(
  ends: Iterable<EpochMs>,
  published: readonly PublishedInterval[],
  features: FeatureFingerprints,
  cadenceMs: number,
): MissingWork[] {
  const there = new Map(published.map((interval) => [interval.end, interval]))
  const endsByNeed = new Map<string, { fills: readonly string[] | null; ends: number[] }>()
  for (const end of ends) {
    const fills = needOf(there.get(end)?.features, features)
    if (fills?.length === 0) continue
    const key = fills === null ? '' : fills.join(' ')
    const need = endsByNeed.get(key) ?? { fills, ends: [] }
    need.ends.push(end)
    endsByNeed.set(key, need)
  }
  return [...endsByNeed.values()]
    .flatMap(({ fills, ends }) => rangesOf(ends, cadenceMs).map((range) => ({ range, fills })))
    .sort((left, right) => left.range.from - right.range.from)
}

/** Null: whole rows; an empty list: nothing. */
function needOf(covered: FeatureFingerprints | undefined, features: FeatureFingerprints): string[] | null {
  if (covered === undefined || Object.keys(covered).length === 0) return null
  const names = Object.keys(features)
  const isStale = names.some((name) => covered[name] !== undefined && covered[name] !== features[name])
  return isStale ? null : names.filter((name) => covered[name] === undefined)
}
