/** Moves `main` to the judged snapshot: the one commit by which a run becomes visible. */
import { CommitConflict } from '../iceberg/index.ts'
import { InputError } from '../model/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { fingerprintProperty } from './groupTable.ts'
import { publishedSnapshots, recordSnapshot } from './healLedger.ts'
import { readJsonFile, type RunPlan } from './runFiles.ts'

export const publishRun =
  (deps: ActivityDeps): Activities['publishRun'] =>
  async ({ group: id, runId, planPath, staged, override }) => {
    const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
    const { registered, table } = await groupOf(deps, id)
    const snapshotId = BigInt(staged.snapshotId)
    const isPublished = () => publishedSnapshots(table).find((snapshot) => snapshot.snapshotId === snapshotId)
    if (override !== undefined) await deps.registry.saveOverride(runId, override, await deps.now())
    // A retry after a lost answer finds the snapshot in main's line and has nothing left to commit.
    if (isPublished() === undefined) {
      if (registered.fingerprint !== plan.fingerprint) throw registeredAnew(plan)
      const publishing = table.publish({
        branch: staged.branch,
        expectMain: staged.baseSnapshotId === null ? null : BigInt(staged.baseSnapshotId),
        expectBranch: snapshotId,
        dropBranch: true,
        expectProperties: { [fingerprintProperty]: plan.fingerprint },
      })
      await publishing.catch((error: unknown) => {
        throw error instanceof CommitConflict && error.property !== null ? registeredAnew(plan) : error
      })
    }
    const snapshot = isPublished()
    if (snapshot === undefined)
      throw new Error(`Snapshot ${snapshotId} of ${id} is not in main's line after its publish.`)
    await recordSnapshot(deps, id, snapshot)
    return {
      snapshotId: staged.snapshotId,
      sequenceNumber: Number(snapshot.sequenceNumber),
      publishedAt: new Date(await deps.now()).toISOString(),
    }
  }

function registeredAnew({ group, runId }: RunPlan): InputError {
  return new InputError(
    `Feature group ${group} was registered anew while run ${runId} was under way. Run it again.`,
    { group },
  )
}
