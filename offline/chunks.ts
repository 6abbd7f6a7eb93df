/** Cuts what a run computes into chunks, and refuses what its source cannot answer for. */
import { InputError } from '../model/errors.ts'
import { windowsOf, type FeatureGroup } from '../model/group.ts'
import type { Source } from '../model/source.ts'
import {
  alignDown,
  alignUp,
  durationMs,
  formatInstant,
  parseInstant,
  type EpochMs,
  type IntervalRange,
} from '../model/time.ts'
import { largestWindowMs } from './compile.ts'

const dayMs = 864e5

/**
 * Ranges cut into chunks of whole days, each about as long as `targetMs` or the largest window, whichever is longer:
 * a shorter chunk would read more events before its first end than up to its last.
 *
 * A cut lies behind the last end before a midnight, so that the ends of one day, one partition of the table, stay in one
 * chunk. What a chunk holds in memory is bounded by its tiles, at most one per event and per entity and tile of
 * chunk + largest window, and its rows, one per entity and interval; a chunk is at most 1.5 times
 * the aim plus two days.
 */
export function planChunks(
  ranges: readonly IntervalRange[],
  cadenceMs: number,
  largestMs: number,
  { targetMs }: { targetMs: number },
): IntervalRange[] {
  const aim = alignUp(Math.max(targetMs, largestMs, cadenceMs), dayMs)
  return ranges.flatMap((range) => {
    const count = Math.max(1, Math.round((range.to - range.from) / aim))
    const length = alignUp((range.to - range.from) / count, dayMs)
    const chunks: IntervalRange[] = []
    let from = range.from
    while (from < range.to) {
      const cut = Math.max(lastEndBefore(from + cadenceMs + length, cadenceMs), from + cadenceMs)
      // The end at a last midnight opens a day of its own, which is not worth a pass of its own.
      const to = range.to - cut <= dayMs ? range.to : cut
      chunks.push({ from, to })
      from = to
    }
    return chunks
  })
}

/** The last interval end before the midnight at or before `t`. */
const lastEndBefore = (t: number, cadenceMs: number) => alignDown(alignDown(t, dayMs) - 1, cadenceMs)

/**
 * @param nowMs on the store's clock: what is older than a source's retention is going or gone
 * @throws InputError where a window of the ranges reaches before its source is complete or keeps events, unless the group
 * allows it.
 */
export function refuseIncomplete(
  group: FeatureGroup,
  ranges: readonly IntervalRange[],
  nowMs: EpochMs,
): void {
  if (group.allowPartialWindows || ranges.length === 0) return
  for (const source of group.sources) {
    for (const limit of limitsOf(source, nowMs)) refuseBeyond(group, ranges, limit)
  }
}

/** The first interval end whose windows the sources still answer for; null where they answer for all. */
export function firstCompleteEnd(group: FeatureGroup, nowMs: EpochMs): EpochMs | null {
  if (group.allowPartialWindows) return null
  const cadence = durationMs(group.every)
  const ends = group.sources.flatMap((source) =>
    limitsOf(source, nowMs).flatMap(({ from }) =>
      longestWindows(group).map(({ lengthMs }) => alignUp(from + lengthMs, cadence)),
    ),
  )
  return ends.length === 0 ? null : Math.max(...ends)
}

/** The windows that reach back furthest: an unbounded one counts from `completeFrom` and reaches no further back. */
function longestWindows(group: FeatureGroup) {
  const windows = windowsOf(group).map(({ feature, over }) => ({
    feature,
    over,
    lengthMs: over === 'unbounded' ? 0 : durationMs(over),
  }))
  return windows.filter(({ over, lengthMs }) => over === 'unbounded' || lengthMs === largestWindowMs(group))
}

/** From when a source has events, and why not before. */
interface Limit {
  readonly from: EpochMs
  readonly reason: string
}

function limitsOf({ name, completeFrom, retention }: Source, nowMs: EpochMs): Limit[] {
  const limits: Limit[] = []
  if (completeFrom !== undefined) {
    const from = parseInstant(completeFrom, `source ${name}: completeFrom`)
    limits.push({ from, reason: `source ${name} is complete only from ${formatInstant(from)}` })
  }
  if (retention !== undefined) {
    const from = nowMs - durationMs(retention)
    limits.push({
      from,
      reason: `source ${name} keeps events for ${retention}: it is ${formatInstant(nowMs)} on the store's clock, and those before ${formatInstant(from)} are going or gone`,
    })
  }
  return limits
}

function refuseBeyond(group: FeatureGroup, ranges: readonly IntervalRange[], { from, reason }: Limit): void {
  const cadence = durationMs(group.every)
  const firstEnd = ranges.reduce((least, { from: start }) => Math.min(least, start), Infinity) + cadence
  for (const { feature, over, lengthMs: length } of longestWindows(group)) {
    if (firstEnd - length >= from) continue
    const allowed = alignUp(from + length, cadence)
    throw new InputError(
      `feature group ${group.id}: ${feature === null ? '' : `feature ${feature}: `}the window of ${over} of the interval that ends at ${formatInstant(firstEnd)} reaches back to ${formatInstant(firstEnd - length)}, but ${reason}. The first interval with whole windows ends at ${formatInstant(allowed)}: start from ${formatInstant(allowed - cadence)}, or set allowPartialWindows on the group.`,
      { group: group.id, ...(feature === null ? {} : { feature }) },
    )
  }
}
