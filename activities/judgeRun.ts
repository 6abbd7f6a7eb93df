/** Runs the gates over the staged rows, reading the branch as a consumer would. */
import { planScan, readDataFiles, type Table } from '../iceberg/index.ts'
import { durationMs, intervalCount, type BoundGroup, type EpochMs } from '../model/index.ts'
import { query } from '../offline/index.ts'
import { historyIntervals, judgeGates, overallVerdict, type GateContext } from '../quality/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { withHeartbeat } from './heartbeat.ts'
import { readJsonFile, type RunPlan } from './runFiles.ts'

export const judgeRun =
  (deps: ActivityDeps): Activities['judgeRun'] =>
  ({ group: id, runId, planPath, staged }) =>
    withHeartbeat(async () => {
      const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
      const { bound, group, table } = await groupOf(deps, id)
      const connection = await deps.duckdb.connect()
      try {
        const history = await publishedBefore(deps, table, bound, plan)
        const context: GateContext = {
          staged: await stagedRows(deps, table, BigInt(staged.snapshotId), plan),
          published: history.relation,
          keys: bound.keys.map(({ name }) => name),
          features: Object.fromEntries(bound.features.map(({ name, type }) => [name, type])),
          intervals: plan.ranges.reduce((sum, range) => sum + intervalCount(range, plan.cadenceMs), 0),
          publishedIntervals: history.intervals,
        }
        const reports = await judgeGates(group.gates, context, (sql) => query(connection, sql))
        await deps.registry.saveGateReports(runId, reports, await deps.now())
        const gates = reports.map(({ name, verdict, sentence }) => ({ name, verdict, sentence }))
        return { verdict: overallVerdict(reports), gates }
      } finally {
        connection.closeSync()
      }
    })

/** The run's own rows on its branch, as SQL. */
async function stagedRows(
  { fileIO }: ActivityDeps,
  table: Table,
  snapshotId: bigint,
  plan: RunPlan,
): Promise<string> {
  const { files, schema } = await planScan(table, {
    snapshotId,
    filter: { column: 'run_id', op: 'eq', value: plan.runId },
  })
  const rows = readDataFiles({ schema, files, localPath: (location) => fileIO.localPath(location) })
  return `(SELECT * FROM ${rows} WHERE run_id = '${plan.runId.replaceAll("'", "''")}')`
}

/** Rows of the last intervals that were published before the run's first one, for gates that compare with them. */
async function publishedBefore(
  { registry, fileIO }: ActivityDeps,
  table: Table,
  bound: BoundGroup,
  plan: RunPlan,
): Promise<{ relation: string; intervals: number }> {
  const wanted = historyIntervals(bound.group.gates)
  const before = plan.ranges[0]?.from ?? 0
  const ends = wanted === 0 ? [] : await lastPublished(registry, bound, before, wanted)
  const first = ends[0]
  const localPath = (location: string) => fileIO.localPath(location)
  if (first === undefined) {
    return { relation: readDataFiles({ schema: table.schema, files: [], localPath }), intervals: 0 }
  }
  const after = BigInt(first - plan.cadenceMs) * 1000n
  const upTo = BigInt(before) * 1000n
  const { files, schema } = await planScan(table, {
    ref: 'main',
    filter: {
      op: 'and',
      filters: [
        { column: 'event_timestamp', op: 'gt', value: after },
        { column: 'event_timestamp', op: 'le', value: upTo },
      ],
    },
  })
  const rows = readDataFiles({ schema, files, localPath })
  const relation = `(SELECT * FROM ${rows} WHERE event_timestamp > make_timestamptz(${after}) AND event_timestamp <= make_timestamptz(${upTo}))`
  return { relation, intervals: ends.length }
}

/** Looks back in growing steps, so that a long ledger is not read whole. */
async function lastPublished(
  registry: ActivityDeps['registry'],
  bound: BoundGroup,
  before: EpochMs,
  wanted: number,
): Promise<EpochMs[]> {
  const cadenceMs = durationMs(bound.group.every)
  const { first } = await registry.ledgerSummary(bound.group.id)
  if (first === null) return []
  for (let span = wanted * cadenceMs * 2; ; span *= 4) {
    const published = await registry.published(bound.group.id, { from: before - span, to: before })
    if (published.length >= wanted || before - span < first)
      return published.slice(-wanted).map(({ end }) => end)
  }
}
