/** Says in the registry that a training set was not built. Its finished parts stay for the next attempt. */
import type { Activities } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'

export const failTraining =
  ({ registry, now }: ActivityDeps): Activities['failTraining'] =>
  async ({ id, runId, reason }) => {
    const set = await registry.trainingSet(id)
    if (set?.runId !== runId) return
    await registry.endTrainingSet(id, { status: 'failed', endedAt: await now(), reason })
  }
