/** Writes a plan down and opens its run: how planning ends, whatever kind of run is planned. */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import {
  durationMs,
  formatInstant,
  hasHindsight,
  intervalCount,
  type EpochMs,
  type FeatureGroup,
  type IntervalRange,
} from '../model/index.ts'
import {
  bindSources,
  largestWindowMs,
  listFilesOf,
  pinnedColumns,
  planChunks,
  type PinnedColumns,
  type SourceFile,
} from '../offline/index.ts'
import type { Run } from '../registry/index.ts'
import type { PlannedRun } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import type { KnownGroup } from './groupOf.ts'
import { withHeartbeat } from './heartbeat.ts'
import { planPathOf, writeOnce, type ChunkWork, type PlannedChunk, type RunPlan } from './runFiles.ts'

/** Chunks of about so long: their source rows are what a pass holds at once, beside one largest window. */
const chunkTargetMs = durationMs('28d')

/** What a run is to do. */
export interface PlanRequest {
  readonly runId: string
  readonly workflowId: string
  /** When planning began: arrivals up to then are seen, and the sources count as read then. */
  readonly readAt: EpochMs
  readonly mode: Run['mode']
  /** Where in time the run works, for people. */
  readonly asked: IntervalRange
  /** In order of time; no two overlap. */
  readonly work: readonly { readonly range: IntervalRange; readonly does: ChunkWork }[]
  /** Of the work, what never was published or is replaced. */
  readonly ranges: readonly IntervalRange[]
  readonly filled: readonly IntervalRange[]
  readonly reread: readonly IntervalRange[]
  /** The created timestamp of a live run's rows; null for history. */
  readonly knownFrom: EpochMs | null
  readonly liveFrom: EpochMs | null
  /** Runs that the intervals are known to be of. */
  readonly replaces: readonly string[]
}

/** What the plan says to the workflow, but for what stays as it is. */
export type OpenedPlan = Omit<PlannedRun, 'alreadyPublished' | 'leftForLive' | 'held' | 'incomplete'>

export async function openPlan(
  deps: ActivityDeps,
  { group, registered, table }: KnownGroup,
  request: PlanRequest,
): Promise<OpenedPlan> {
  const { runId, workflowId, readAt, mode, asked, work } = request
  const { ranges, filled, reread, knownFrom, liveFrom } = request
  const cadenceMs = durationMs(group.every)
  const intervals = countIntervals(ranges, cadenceMs)
  await deps.registry.openRun({
    ...{ runId, workflowId, group: group.id, mode, range: asked, intervals },
    fingerprint: registered.fingerprint,
    startedAt: readAt,
  })
  const sourceFiles = await listFilesOf(group.sources, deps.environment, deps.baseFolder)
  const plan: RunPlan = {
    runId,
    planId: randomUUID().slice(0, 8),
    group: group.id,
    fingerprint: registered.fingerprint,
    features: registered.featureFingerprints,
    cadenceMs,
    ...{ ranges, filled, reread, readAt, knownFrom, liveFrom },
    chunks: passesOver(work, cadenceMs, largestWindowMs(group)),
    sourceFiles,
    sourceColumns: work.length === 0 ? {} : await columnsOf(deps, group, sourceFiles),
    hindsight: knownFrom === null && group.sources.some(hasHindsight),
    replaces: request.replaces,
  }
  const planPath = planPathOf(table.location, runId, plan.planId)
  await writeOnce(deps.fileIO, planPath, plan)
  return {
    ...{ runId, group: group.id, planPath, intervals },
    table: `${deps.store}.${group.id}`,
    fingerprint: registered.fingerprint,
    reread: countIntervals(reread, cadenceMs),
    chunks: plan.chunks.length,
    sourceFiles: sourceFiles.length,
    sourceBytes: sourceFiles.reduce((sum, { size }) => sum + size, 0),
    from: formatInstant(asked.from),
    to: formatInstant(asked.to),
    online: group.online,
  }
}

/**
 * Work whose windows overlap is one pass, and what lies between is left out of it: of a range in which every other hour
 * is missing, each hour would else read the same window again.
 */
function passesOver(work: PlanRequest['work'], cadenceMs: number, largestMs: number): PlannedChunk[] {
  const spans: { from: EpochMs; to: EpochMs; does: ChunkWork; ranges: IntervalRange[] }[] = []
  for (const { range, does } of work) {
    const last = spans.at(-1)
    const isNear = last !== undefined && range.from - last.to <= largestMs
    if (isNear && isDeepStrictEqual(last.does, does)) {
      last.ranges.push(range)
      last.to = range.to
    } else spans.push({ ...range, does, ranges: [range] })
  }
  return spans.flatMap(({ does, ranges, ...span }) =>
    planChunks([span], cadenceMs, largestMs, { targetMs: chunkTargetMs }).flatMap((chunk): PlannedChunk[] => {
      const only = ranges
        .map(({ from, to }) => ({ from: Math.max(from, chunk.from), to: Math.min(to, chunk.to) }))
        .filter(({ from, to }) => from < to)
      const [first] = only
      if (first === undefined) return []
      const isWhole = first.from === chunk.from && first.to === chunk.to
      return [{ ...chunk, work: does, ...(isWhole ? {} : { only }) }]
    }),
  )
}

export function countIntervals(ranges: readonly IntervalRange[], cadenceMs: number): number {
  return ranges.reduce((sum, range) => sum + intervalCount(range, cadenceMs), 0)
}

/** The types of text are found by reading all of it: once for a run. */
function columnsOf(
  { duckdb }: ActivityDeps,
  group: FeatureGroup,
  files: readonly SourceFile[],
): Promise<PinnedColumns> {
  return withHeartbeat(async () => {
    const connection = await duckdb.connect()
    try {
      return pinnedColumns(await bindSources(connection, group.sources, files))
    } finally {
      connection.closeSync()
    }
  })
}
