/** Decides what a backfill computes. */
import {
  alignDown,
  alignUp,
  durationMs,
  formatInstant,
  InputError,
  intervalCount,
  intervalEnds,
  parseInstant,
  rangesOf,
  type EpochMs,
  type FeatureGroup,
  type IntervalRange,
} from '../model/index.ts'
import { refuseIncomplete } from '../offline/index.ts'
import type { PublishedInterval } from '../registry/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf, type KnownGroup } from './groupOf.ts'
import { healLedger } from './healLedger.ts'
import { missingWork } from './missingWork.ts'
import { countIntervals, openPlan, type PlanRequest } from './openPlan.ts'

/**
 * History and what was missed since the group went live are two runs (rule 6): history goes first, and the plan says how
 * much it left for the other one.
 */
export const planBackfill =
  (deps: ActivityDeps): Activities['planBackfill'] =>
  async ({ group: id, from, to, rewrite = false, side, runId, workflowId }) => {
    const known = await groupOf(deps, id)
    const { group, table } = known
    const cadenceMs = durationMs(group.every)
    const now = await deps.now()
    const asked = askedRange(group, from, to, now)
    const { liveFrom } = await healLedger(deps, id, table)
    const published = await deps.registry.published(id, asked)
    const { history, missed } = split(known, asked, { published, rewrite, liveFrom })
    const isLive = side === 'live' || (history.length === 0 && missed.length > 0)
    const work = isLive
      ? missed.map((range) => ({ range, does: { kind: 'versions' } as const }))
      : history.map(({ range, fills }) => ({ range, does: doesOf(fills) }))
    // What is published stays, however long its events have been gone.
    refuseIncomplete(
      group,
      work.map(({ range }) => range),
      now,
    )
    const opened = await openPlan(deps, known, {
      ...{ runId, workflowId, readAt: now, asked, work, liveFrom },
      mode: rewrite ? 'rewrite' : 'backfill',
      ranges: work.map(({ range }) => range),
      filled: work.filter(({ does }) => does.kind === 'fill').map(({ range }) => range),
      reread: [],
      knownFrom: isLive ? await deps.registry.nextCreated(id, now) : null,
      replaces: [...new Set(published.map(({ runId: by }) => by))],
    })
    const leftForLive = isLive ? 0 : countIntervals(missed, cadenceMs)
    return {
      ...opened,
      alreadyPublished: intervalCount(asked, cadenceMs) - opened.intervals - leftForLive,
      ...{ leftForLive, held: 0, incomplete: 0 },
    }
  }

/** What of a range is history to compute, and what was missed since the group went live. */
function split(
  { group, registered }: KnownGroup,
  asked: IntervalRange,
  given: {
    readonly published: readonly PublishedInterval[]
    readonly rewrite: boolean
    readonly liveFrom: EpochMs | null
  },
) {
  const { published, rewrite, liveFrom } = given
  const cadenceMs = durationMs(group.every)
  const there = new Set(published.map(({ end }) => end))
  const wasMissed = (end: EpochMs) => liveFrom !== null && end >= liveFrom && !there.has(end)
  const ends = [...intervalEnds(asked, cadenceMs)]
  return {
    history: missingWork(
      ends.filter((end) => !wasMissed(end)),
      rewrite ? [] : published,
      registered.featureFingerprints,
      cadenceMs,
    ),
    missed: rangesOf(ends.filter(wasMissed), cadenceMs),
  }
}

const doesOf = (fills: readonly string[] | null): PlanRequest['work'][number]['does'] =>
  fills === null ? { kind: 'rows' } : { kind: 'fill', features: fills }

/** The asked range, if it is whole intervals, in order and due. */
function askedRange(group: FeatureGroup, from: string, to: string, nowMs: number): IntervalRange {
  const cadenceMs = durationMs(group.every)
  const range = { from: parseInstant(from, `${group.id}: from`), to: parseInstant(to, `${group.id}: to`) }
  for (const end of ['from', 'to'] as const) {
    const at = range[end]
    if (at % cadenceMs !== 0) {
      throw new InputError(
        `${group.id}: ${end} ${formatInstant(at)} is not on the group's cadence of ${group.every}. The nearest instants on it are ${formatInstant(alignDown(at, cadenceMs))} and ${formatInstant(alignUp(at, cadenceMs))}.`,
        { group: group.id },
      )
    }
  }
  if (range.from >= range.to) {
    throw new InputError(
      `${group.id}: the range from ${formatInstant(range.from)} to ${formatInstant(range.to)} holds no interval. From must be before to.`,
      { group: group.id },
    )
  }
  const lastDue = alignDown(nowMs - durationMs(group.availableAfter), cadenceMs)
  if (range.to > lastDue) {
    throw new InputError(
      `${group.id}: the interval that ends at ${formatInstant(range.to)} is not due: it is ${formatInstant(nowMs)} on the store's clock, and an interval is due ${group.availableAfter} after its end. The last one that is due ends at ${formatInstant(lastDue)}.`,
      { group: group.id },
    )
  }
  return range
}
