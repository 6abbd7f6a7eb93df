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
import { durationMs, type BoundGroup } from '../model/index.ts'
import type { Activities, StagedRun } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { Overtaken } from './failures.ts'
import { groupOf } from './groupOf.ts'
import { healLedger } from './healLedger.ts'
import { withHeartbeat } from './heartbeat.ts'
import {
  branchOf,
  chunkPathOf,
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
      await refuseOvertaken(deps, plan)

      const branch = branchOf(runId)
      const base = table.ref('main')
      const files = await chunkFiles(deps, plan, planPath)
      const there = stagedAlready(table, branch, plan, base)
      if (there !== null) return stagedRun(branch, there, base, files)

      await table.dropBranch(branch)
      await table.createBranch(branch, { from: base, maxRefAgeMs: branchAgeMs })
      const ledgerPath = ledgerPathOf(table.location, plan)
      await writeOnce(deps.fileIO, ledgerPath, ledgerOf(plan))
      const snapshot = await replaceIntervals(deps, { table, bound, plan, branch, files, ledgerPath })
      return stagedRun(branch, snapshot, base, files)
    })

/** Intervals of this run that a run which the plan did not know of has published in the meantime. */
async function refuseOvertaken({ registry }: ActivityDeps, plan: RunPlan): Promise<void> {
  for (const range of plan.ranges) {
    for (const { runId } of await registry.published(plan.group, range)) {
      if (runId !== plan.runId && !plan.replaces.includes(runId)) {
        throw new Overtaken(
          `Run ${runId} has published intervals of run ${plan.runId} since that was planned.`,
          { runId },
        )
      }
    }
  }
}

/** This plan's commit on a branch that was cut from today's `main`: an earlier attempt got this far. */
function stagedAlready(table: Table, branch: string, plan: RunPlan, base: bigint | null): Snapshot | null {
  const head = table.ref(branch)
  const snapshot = head === null ? null : table.snapshot(head)
  if (snapshot === null || snapshot.summary[summaryKeys.plan] !== plan.planId) return null
  return (snapshot.parentSnapshotId ?? null) === base ? snapshot : null
}

async function replaceIntervals(
  deps: ActivityDeps,
  staging: {
    table: Table
    bound: BoundGroup
    plan: RunPlan
    branch: string
    files: DataFile[]
    ledgerPath: string
  },
): Promise<Snapshot> {
  const { table, bound, plan, branch, files, ledgerPath } = staging
  const ranges = plan.ranges.map(({ from, to }): MicrosRange => ({ after: micros(from), upTo: micros(to) }))
  const connection = await deps.duckdb.connect()
  try {
    return await table.replaceRanges({
      ref: branch,
      column: 'event_timestamp',
      ranges,
      files,
      summary: {
        [summaryKeys.run]: plan.runId,
        [summaryKeys.plan]: plan.planId,
        [summaryKeys.ledger]: ledgerPath,
      },
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

async function chunkFiles({ fileIO }: ActivityDeps, plan: RunPlan, planPath: string): Promise<DataFile[]> {
  const chunks = await Promise.all(
    plan.chunks.map((_, chunk) => readJsonFile<ChunkFile>(fileIO, chunkPathOf(planPath, chunk))),
  )
  return chunks.flatMap(({ files }) => files.map(dataFileFromJson))
}

function ledgerOf(plan: RunPlan): LedgerFile {
  const { runId, group, fingerprint, features, cadenceMs, chunks, filled, hindsight } = plan
  const computed = chunks.filter(({ fills }) => fills === null).map(({ from, to }) => ({ from, to }))
  return { runId, group, fingerprint, features, cadenceMs, ranges: computed, filled, hindsight }
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
