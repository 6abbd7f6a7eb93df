/** Closes a run that ended well, and sweeps what its failed attempts left behind. */
import { planScan } from '../iceberg/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { dataFolder, deleteBelow, runFolder } from './runFiles.ts'

export const recordRun =
  (deps: ActivityDeps): Activities['recordRun'] =>
  async ({ group: id, runId, outcome, published }) => {
    const { table } = await groupOf(deps, id)
    let rows: number | null = null
    if (published !== undefined) {
      const { files } = await planScan(table, { snapshotId: BigInt(published.snapshotId) })
      const folder = dataFolder(table.location, runId)
      const own = files.filter(({ filePath }) => filePath.startsWith(`${folder}/`))
      await deleteBelow(deps.fileIO, folder, new Set(own.map(({ filePath }) => filePath)))
      // Rows of neighbouring intervals that were only carried into new files are not the run's.
      const computed = own.filter(({ filePath }) => !filePath.includes('/edge-'))
      rows = computed.reduce((sum, { recordCount }) => sum + Number(recordCount), 0)
    }
    await deleteBelow(deps.fileIO, runFolder(table.location, runId))
    await deps.registry.updateRun(runId, {
      status: outcome,
      endedAt: await deps.now(),
      rows,
      snapshotId: published?.snapshotId ?? null,
    })
  }
