/** Cuts what a run computes into chunks, and refuses what its source cannot answer for. */
import { InputError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import {
  alignDown,
  alignUp,
  durationMs,
  formatInstant,
  parseInstant,
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

/** @throws InputError where a window of the ranges reaches before its source is complete, unless the group allows it. */
export function refuseIncomplete(group: FeatureGroup, ranges: readonly IntervalRange[]): void {
  const { completeFrom, name } = group.source
  if (group.allowPartialWindows || completeFrom === undefined || ranges.length === 0) return
  const cadence = durationMs(group.every)
  const complete = parseInstant(completeFrom, `source ${name}: completeFrom`)
  const firstEnd = Math.min(...ranges.map(({ from }) => from)) + cadence
  for (const [feature, { over }] of Object.entries(group.features)) {
    if (durationMs(over) !== largestWindowMs(group) || firstEnd - durationMs(over) >= complete) continue
    const allowed = alignUp(complete + durationMs(over), cadence)
    throw new InputError(
      `feature group ${group.id}: feature ${feature}: the window of ${over} of the interval that ends at ${formatInstant(firstEnd)} reaches back to ${formatInstant(firstEnd - durationMs(over))}, but source ${name} is complete only from ${formatInstant(complete)}. The first interval with whole windows ends at ${formatInstant(allowed)}: start from ${formatInstant(allowed - cadence)}, or set allowPartialWindows on the group.`,
      { group: group.id, feature },
    )
  }
}
