/** Commits a computed run to a branch of its own, cut from `main`, where gates can read it and nobody else does. */
import { randomUUID } from 'node:crypto'
import {
  dataFileFromJson,
  rewriteOutside,
  type DataFile,
  type MicrosRange,
  type Snapshot,
  type Table,
} from '../iceberg/index.ts'
import { durationMs, intervalEnds, type BoundGroup, type IntervalRange } from '../model/index.ts'
import type { Activities, StagedRun } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { Overtaken } from './failures.ts'
import { groupOf } from './groupOf.ts'
import { healLedger } from './healLedger.ts'
import { withHeartbeat } from './heartbeat.ts'
import {
  branchOf,
  broughtBy,
  chunkFilesOf,
  dataFolder,
  ledgerPathOf,
  readJsonFile,
  summaryKeys,
  writeOnce,
  type ChunkFile,
  type LedgerFile,
  type RunPlan,
} from './runFiles.ts'

/** A branch that its run forgot goes away with the table's next expiry after so long. */
const branchAgeMs = durationMs('30d')

export const stageRun =
  (deps: ActivityDeps): Activities['stageRun'] =>
  ({ group: id, runId, planPath }) =>
    withHeartbeat(async () => {
      const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
      const { bound, table } = await groupOf(deps, id)
      await healLedger(deps, id, table)
      const chunks = await chunkFilesOf(deps.fileIO, plan, planPath)
      await refuseOvertaken(deps, plan, chunks)

      const branch = branchOf(runId)
      const base = table.ref('main')
      const files = chunks.flatMap((chunk) => chunk.files.map(dataFileFromJson))
      const there = stagedAlready(table, branch, plan, base)
      if (there !== null) return stagedRun(branch, there, base, files)

      await table.dropBranch(branch)
      await table.createBranch(branch, { from: base, maxRefAgeMs: branchAgeMs })
      const ledgerPath = ledgerPathOf(table.location, plan)
      await writeOnce(deps.fileIO, ledgerPath, ledgerOf(deps, bound, plan, chunks))
      const staging = { table, bound, plan, branch, files, ledgerPath }
      const snapshot =
        plan.knownFrom === null ? await replaceIntervals(deps, staging) : await addVersions(staging)
      return stagedRun(branch, snapshot, base, files)
    })

/** Intervals of this run that a run which the plan did not know of has published in the meantime. */
async function refuseOvertaken(
  { registry }: ActivityDeps,
  plan: RunPlan,
  chunks: readonly ChunkFile[],
): Promise<void> {
  const brought = broughtBy(plan, chunks)
  const [first, last] = [brought[0], brought.at(-1)]
  if (first === undefined || last === undefined) return
  const own = new Set(brought.flatMap((range) => [...intervalEnds(range, plan.cadenceMs)]))
  const known = new Set([plan.runId, ...plan.replaces])
  for (const { end, runId } of await registry.published(plan.group, { from: first.from, to: last.to })) {
    if (!own.has(end) || known.has(runId)) continue
    throw new Overtaken(`Run ${runId} has published intervals of run ${plan.runId} since that was planned.`, {
      runId,
    })
  }
}

/** This plan's commit on a branch that was cut from today's `main`: an earlier attempt got this far. */
function stagedAlready(table: Table, branch: string, plan: RunPlan, base: bigint | null): Snapshot | null {
  const head = table.ref(branch)
  const snapshot = head === null ? null : table.snapshot(head)
  if (snapshot === null || snapshot.summary[summaryKeys.plan] !== plan.planId) return null
  return (snapshot.parentSnapshotId ?? null) === base ? snapshot : null
}

interface Staging {
  readonly table: Table
  readonly bound: BoundGroup
  readonly plan: RunPlan
  readonly branch: string
  readonly files: DataFile[]
  readonly ledgerPath: string
}

/** What a live run brings was never there: nothing is replaced, and nothing that was served is erased. */
function addVersions({ table, plan, branch, files, ledgerPath }: Staging): Promise<Snapshot> {
  return table.append({ ref: branch, files, summary: summaryOf(plan, ledgerPath) })
}

const summaryOf = (plan: RunPlan, ledgerPath: string) => ({
  [summaryKeys.run]: plan.runId,
  [summaryKeys.plan]: plan.planId,
  [summaryKeys.ledger]: ledgerPath,
})

async function replaceIntervals(deps: ActivityDeps, staging: Staging): Promise<Snapshot> {
  const { table, bound, plan, branch, files, ledgerPath } = staging
  const ranges = plan.ranges.map(({ from, to }): MicrosRange => ({ after: micros(from), upTo: micros(to) }))
  const connection = await deps.duckdb.connect()
  try {
    return await table.replaceRanges({
      ref: branch,
      column: 'event_timestamp',
      ranges,
      files,
      summary: summaryOf(plan, ledgerPath),
      rewriteOutside: (file) =>
        rewriteOutside(connection, {
          schema: table.schema,
          spec: table.spec,
          file,
          column: 'event_timestamp',
          ranges,
          directory: `${dataFolder(table.location, plan.runId)}/${plan.planId}/edge-${randomUUID().slice(0, 8)}`,
          localPath: (location) => deps.fileIO.localPath(location),
          orderBy: [...bound.keys.map(({ name }) => name), 'event_timestamp'],
        }),
    })
  } finally {
    connection.closeSync()
  }
}

function ledgerOf(
  { onlineStores }: ActivityDeps,
  { group }: BoundGroup,
  plan: RunPlan,
  chunks: readonly ChunkFile[],
): LedgerFile {
  const { runId, fingerprint, features, cadenceMs, filled, reread, hindsight, readAt, knownFrom, liveFrom } =
    plan
  const isFilled = (range: IntervalRange) =>
    filled.some(({ from, to }) => from === range.from && to === range.to)
  return {
    ...{ runId, group: group.id, fingerprint, features, cadenceMs, filled, reread, hindsight },
    ranges: plan.ranges.filter((range) => !isFilled(range)),
    corrected: chunks.flatMap(({ corrected }) => corrected),
    ...{ readAt, knownFrom, liveFrom },
    onlineStores: group.online ? onlineStores.map(({ name }) => name) : [],
  }
}

function stagedRun(
  branch: string,
  snapshot: Snapshot,
  base: bigint | null,
  files: readonly DataFile[],
): StagedRun {
  return {
    branch,
    snapshotId: String(snapshot.snapshotId),
    baseSnapshotId: base === null ? null : String(base),
    rows: files.reduce((sum, file) => sum + Number(file.recordCount), 0),
    files: files.length,
  }
}

const micros = (ms: number) => BigInt(ms) * 1000n
