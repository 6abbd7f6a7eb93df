/** Decides what a backfill computes, and writes it down as a file. */
import { randomUUID } from 'node:crypto'
import {
  durationMs,
  formatInstant,
  hasHindsight,
  InputError,
  intervalCount,
  parseInstant,
  alignDown,
  alignUp,
  type FeatureGroup,
  type IntervalRange,
} from '../model/index.ts'
import {
  bindSources,
  largestWindowMs,
  listFilesOf,
  pinnedColumns,
  planChunks,
  refuseIncomplete,
  type PinnedColumns,
  type SourceFile,
} from '../offline/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { healLedger } from './healLedger.ts'
import { withHeartbeat } from './heartbeat.ts'
import { missingWork } from './missingWork.ts'
import { planPathOf, writeOnce, type RunPlan } from './runFiles.ts'

/** Chunks of about so long: their source rows are what a pass holds at once, beside one largest window. */
const chunkTargetMs = durationMs('28d')

export const planBackfill =
  (deps: ActivityDeps): Activities['planBackfill'] =>
  async ({ group: id, from, to, rewrite = false, runId, workflowId }) => {
    const { group, registered, table } = await groupOf(deps, id)
    const cadenceMs = durationMs(group.every)
    const now = await deps.now()
    const asked = askedRange(group, from, to, now)
    await healLedger(deps, id, table)

    const published = await deps.registry.published(id, asked)
    const work = missingWork(asked, rewrite ? [] : published, registered.featureFingerprints, cadenceMs)
    const ranges = work.map(({ range }) => range)
    // What is published stays, however long its events have been gone.
    refuseIncomplete(group, ranges, now)
    const intervals = ranges.reduce((sum, range) => sum + intervalCount(range, cadenceMs), 0)
    const sourceFiles = await listFilesOf(group.sources, deps.environment, deps.baseFolder)
    const plan: RunPlan = {
      runId,
      planId: randomUUID().slice(0, 8),
      group: id,
      fingerprint: registered.fingerprint,
      features: registered.featureFingerprints,
      cadenceMs,
      ranges,
      filled: work.filter(({ fills }) => fills !== null).map(({ range }) => range),
      chunks: work.flatMap(({ range, fills }) =>
        planChunks([range], cadenceMs, largestWindowMs(group), { targetMs: chunkTargetMs }).map((chunk) => ({
          ...chunk,
          fills,
        })),
      ),
      sourceFiles,
      sourceColumns: intervals === 0 ? {} : await columnsOf(deps, group, sourceFiles),
      hindsight: group.sources.some(hasHindsight),
      replaces: [...new Set(published.map(({ runId: by }) => by))],
    }
    const planPath = planPathOf(table.location, runId, plan.planId)
    // First, so that whatever lies on disk has a run in the registry, by which the janitor finds it.
    await deps.registry.openRun({
      runId,
      workflowId,
      group: id,
      mode: rewrite ? 'rewrite' : 'backfill',
      range: asked,
      fingerprint: registered.fingerprint,
      intervals,
      startedAt: await deps.now(),
    })
    await writeOnce(deps.fileIO, planPath, plan)
    return {
      runId,
      group: id,
      planPath,
      table: `${deps.store}.${id}`,
      fingerprint: registered.fingerprint,
      intervals,
      alreadyPublished: intervalCount(asked, cadenceMs) - intervals,
      chunks: plan.chunks.length,
      sourceFiles: sourceFiles.length,
      sourceBytes: sourceFiles.reduce((sum, { size }) => sum + size, 0),
      from: formatInstant(asked.from),
      to: formatInstant(asked.to),
      online: group.online,
    }
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
