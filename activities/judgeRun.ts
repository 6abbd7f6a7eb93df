/** Runs the gates over the staged rows, reading the branch as a consumer would. */
import { planScan, quoteLiteral, readDataFiles, type Table } from '../iceberg/index.ts'
import { intervalCount } from '../model/index.ts'
import { query } from '../offline/index.ts'
import { judgeGates, overallVerdict, type GateContext } from '../quality/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { withHeartbeat } from './heartbeat.ts'
import { publishedBefore } from './publishedBefore.ts'
import { readJsonFile, type RunPlan } from './runFiles.ts'

export const judgeRun =
  (deps: ActivityDeps): Activities['judgeRun'] =>
  ({ group: id, runId, planPath, staged }) =>
    withHeartbeat(async () => {
      const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
      const { bound, group, table } = await groupOf(deps, id)
      const connection = await deps.duckdb.connect()
      try {
        const context: GateContext = {
          staged: await stagedRows(deps, table, BigInt(staged.snapshotId), plan),
          published: await publishedBefore(deps, table, bound, plan),
          keys: bound.keys.map(({ name }) => name),
          features: Object.fromEntries(bound.features.map(({ name, type }) => [name, type])),
          ranges: plan.ranges,
          intervals: plan.ranges.reduce((sum, range) => sum + intervalCount(range, plan.cadenceMs), 0),
        }
        const reports = await judgeGates(group.gates, context, (sql) => query(connection, sql))
        await deps.registry.saveGateReports(runId, reports, await deps.now())
        const gates = reports.map(({ name, verdict, sentence }) => ({ name, verdict, sentence }))
        return { verdict: overallVerdict(reports), gates }
      } finally {
        connection.closeSync()
      }
    })

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
