/** The steps of a backfill up to its publish, without a server. */
import { randomUUID } from 'node:crypto'
import { createActivities } from '../../activities/index.ts'
import type { Store } from '../../worker/openStore.ts'
import type { BackfillInput } from '../../workflows/contract.ts'

export async function publishRun(store: Store, { rewrite = false, ...asked }: BackfillInput): Promise<void> {
  const steps = createActivities(store)
  const run = await steps.planBackfill({ ...asked, rewrite, runId: randomUUID(), workflowId: 'w' })
  for (let chunk = 0; chunk < run.chunks; chunk++) await steps.computeChunk({ ...run, chunk })
  const staged = await steps.stageRun(run)
  const published = await steps.publishRun({ ...run, staged })
  await steps.recordRun({ ...run, outcome: 'published', published })
}
