/** Runs the gates over the staged rows, reading the branch as a consumer would. */
import { planScan, quoteLiteral, readDataFiles, type Table } from '../iceberg/index.ts'
import { intervalEnds, rangesOf, type EpochMs, type IntervalRange } from '../model/index.ts'
import { query } from '../offline/index.ts'
import { judgeGates, overallVerdict, type GateContext } from '../quality/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { withHeartbeat } from './heartbeat.ts'
import { countIntervals } from './openPlan.ts'
import { publishedBefore } from './publishedBefore.ts'
import { newestVersions, rowsIn } from './publishedRows.ts'
import { broughtBy, chunkFilesOf, readJsonFile, type ChunkFile, type RunPlan } from './runFiles.ts'

export const judgeRun =
  (deps: ActivityDeps): Activities['judgeRun'] =>
  ({ group: id, runId, planPath, staged }) =>
    withHeartbeat(async () => {
      const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
      const { bound, group, table } = await groupOf(deps, id)
      const localPath = (location: string) => deps.fileIO.localPath(location)
      const connection = await deps.duckdb.connect()
      try {
        const ranges = await judgedRanges(deps, plan, await chunkFilesOf(deps.fileIO, plan, planPath))
        if (ranges.length === 0) return { verdict: 'pass', gates: [] }
        const snapshotId = BigInt(staged.snapshotId)
        const context: GateContext = {
          staged:
            plan.knownFrom === null
              ? await stagedRows(deps, table, snapshotId, plan)
              : newestVersions(await rowsIn({ table, ranges, snapshotId, localPath }), bound),
          published: await publishedBefore(deps, table, bound, { ranges, cadenceMs: plan.cadenceMs }),
          keys: bound.keys.map(({ name }) => name),
          features: Object.fromEntries(bound.features.map(({ name, type }) => [name, type])),
          ranges,
          intervals: countIntervals(ranges, plan.cadenceMs),
        }
        const reports = await judgeGates(group.gates, context, (sql) => query(connection, sql))
        await deps.registry.saveGateReports(runId, reports, await deps.now())
        const gates = reports.map(({ name, verdict, sentence }) => ({ name, verdict, sentence }))
        return { verdict: overallVerdict(reports), gates }
      } finally {
        connection.closeSync()
      }
    })

/**
 * The intervals that are judged. Of a live run those are whole intervals in their newest versions, for a few changed rows
 * alone are no sample of anything; without those that a person let through, which would block with every late event.
 */
async function judgedRanges(
  { registry }: ActivityDeps,
  plan: RunPlan,
  chunks: readonly ChunkFile[],
): Promise<IntervalRange[]> {
  if (plan.knownFrom === null) return [...plan.ranges]
  const letThrough = new Set<EpochMs>()
  for (const range of plan.reread) {
    for (const interval of await registry.published(plan.group, range)) {
      if (interval.letThrough) letThrough.add(interval.end)
    }
  }
  const ends = broughtBy(plan, chunks).flatMap((range) => [...intervalEnds(range, plan.cadenceMs)])
  return rangesOf(
    ends.filter((end) => !letThrough.has(end)),
    plan.cadenceMs,
  )
}

/** The run's own rows on its branch, as SQL: those that it computed, and those of other runs that it filled. */
async function stagedRows(
  { fileIO }: ActivityDeps,
  table: Table,
  snapshotId: bigint,
  plan: RunPlan,
): Promise<string> {
  const filled = plan.filled.map(({ from, to }) => [BigInt(from) * 1000n, BigInt(to) * 1000n] as const)
  const { files, schema } = await planScan(table, {
    snapshotId,
    filter: {
      op: 'or',
      filters: [
        { column: 'run_id', op: 'eq', value: plan.runId },
        ...filled.map(([after, upTo]) => ({
          op: 'and' as const,
          filters: [
            { column: 'event_timestamp', op: 'gt' as const, value: after },
            { column: 'event_timestamp', op: 'le' as const, value: upTo },
          ],
        })),
      ],
    },
  })
  const rows = readDataFiles({ schema, files, localPath: (location) => fileIO.localPath(location) })
  const own = [
    `run_id = ${quoteLiteral(plan.runId)}`,
    ...filled.map(
      ([after, upTo]) =>
        `(event_timestamp > make_timestamptz(${after}) AND event_timestamp <= make_timestamptz(${upTo}))`,
    ),
  ]
  return `(SELECT * FROM ${rows} WHERE ${own.join(' OR ')})`
}
