/**
 * Decides what a refresh computes (rule 6): the intervals that have come due since the group went live and were never
 * published, except those that a waiting run holds; and, of published ones, those whose late events may not all have been
 * there when their sources were last read.
 *
 * An event is late by at most the group's `lateness`, so an interval is settled once its sources were read at
 * `end + lateness` or later. It is that reading which counts, not the time of the refresh: after an outage, or after a run
 * that waited, intervals long past their lateness have not been read since, and are read once more.
 */
import {
  alignDown,
  durationMs,
  formatInstant,
  InputError,
  intervalEnds,
  rangesOf,
  type EpochMs,
  type IntervalRange,
} from '../model/index.ts'
import { firstCompleteEnd } from '../offline/index.ts'
import type { PublishedInterval } from '../registry/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf, type KnownGroup } from './groupOf.ts'
import { healLedger } from './healLedger.ts'
import { openPlan } from './openPlan.ts'
import { readJsonFile, type RunPlan } from './runFiles.ts'

export const planRefresh =
  (deps: ActivityDeps): Activities['planRefresh'] =>
  async ({ group: id, runId, workflowId, again }) => {
    const known = await groupOf(deps, id)
    const { group, table } = known
    const cadenceMs = durationMs(group.every)
    const now = await deps.now()
    await healLedger(deps, id, table)
    const lastDue = alignDown(now - durationMs(group.availableAfter), cadenceMs)
    const liveFrom = await deps.registry.goLive(id, lastDue)
    if (lastDue < liveFrom - cadenceMs) throw notDueYet(id, liveFrom, now)

    const due = again === undefined ? null : (await readJsonFile<RunPlan>(deps.fileIO, again)).ranges
    const found = await judgeIntervals(deps, known, { runId, now, liveFrom, lastDue, due })
    const { fresh, reread } = found
    const all = [...fresh, ...reread].sort((left, right) => left - right)
    const [first = lastDue] = all
    const opened = await openPlan(deps, known, {
      ...{ runId, workflowId, readAt: now, liveFrom },
      mode: 'refresh',
      asked: { from: first - cadenceMs, to: all.at(-1) ?? lastDue },
      work: rangesOf(all, cadenceMs).map((range) => ({ range, does: { kind: 'versions' } })),
      ranges: rangesOf(fresh, cadenceMs),
      filled: [],
      reread: rangesOf(reread, cadenceMs),
      knownFrom: await deps.registry.nextCreated(id, now),
      replaces: found.by,
    })
    const { held, incomplete } = found
    return { ...opened, ...{ held, incomplete }, alreadyPublished: 0, leftForLive: 0 }
  }

interface Moment {
  readonly runId: string
  readonly now: EpochMs
  readonly liveFrom: EpochMs
  readonly lastDue: EpochMs
  /** What a run that is planned again was about; null for whatever is due. */
  readonly due: readonly IntervalRange[] | null
}

/** Ends of intervals, in order. */
interface Judged {
  readonly fresh: EpochMs[]
  readonly reread: EpochMs[]
  /** How many a waiting run holds, and of how many the sources no longer have all events. */
  readonly held: number
  readonly incomplete: number
  /** Runs that the re-read ones were last written by. */
  readonly by: string[]
}

async function judgeIntervals(
  { registry }: ActivityDeps,
  { group, registered }: KnownGroup,
  { runId, now, liveFrom, lastDue, due }: Moment,
): Promise<Judged> {
  const [cadenceMs, latenessMs] = [durationMs(group.every), durationMs(group.lateness)]
  // A run that is planned again is about its own intervals; late events are the next refresh's.
  const complete = firstCompleteEnd(group, now) ?? -Infinity
  const late = due !== null || latenessMs === 0 ? [] : await registry.unsettled(group.id, latenessMs)
  const unsettled = late.filter((end) => end >= complete)
  const since = Math.min(unsettled[0] ?? liveFrom, liveFrom) - cadenceMs
  const published = new Map(
    (await registry.published(group.id, { from: since, to: lastDue })).map((one) => [one.end, one]),
  )
  const holding = await registry.heldIntervals(group.id, runId)
  const isHeld = (end: EpochMs) => isIn(holding, end)
  const lacking = [...intervalEnds({ from: liveFrom - cadenceMs, to: lastDue }, cadenceMs)].filter(
    (end) => !published.has(end) && (due === null || isIn(due, end)),
  )
  const free = lacking.filter((end) => !isHeld(end))
  const isCurrent = (interval: PublishedInterval | undefined) =>
    interval !== undefined && sameFeatures(interval.features, registered.featureFingerprints)
  const reread = unsettled.filter((end) => end >= complete && !isHeld(end) && isCurrent(published.get(end)))
  return {
    fresh: free.filter((end) => end >= complete),
    reread,
    held: lacking.length - free.length,
    incomplete: free.filter((end) => end < complete).length,
    by: [...new Set(reread.map((end) => published.get(end)?.runId ?? ''))],
  }
}

const isIn = (ranges: readonly IntervalRange[], end: EpochMs) =>
  ranges.some(({ from, to }) => from < end && end <= to)

/** What was computed otherwise waits for a backfill: a later version of it would be no correction. */
function sameFeatures(
  left: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...names].every((name) => left[name] === right[name])
}

function notDueYet(group: string, liveFrom: EpochMs, now: EpochMs): InputError {
  return new InputError(
    `Feature group ${group} is live from the interval that ends at ${formatInstant(liveFrom)}, and it is ${formatInstant(now)} on this store's clock. Nothing is due before that.`,
    { group },
  )
}
