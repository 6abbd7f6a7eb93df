/** How far the training set is that another workflow builds; null once nobody does. */
import type { Activities } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { readJsonFile } from '../runFiles.ts'
import { finished, type TrainingManifest } from './finishTraining.ts'

export const trainingState =
  ({ registry, fileIO, isOpen }: ActivityDeps): Activities['trainingState'] =>
  async ({ id }) => {
    const set = await registry.trainingSet(id)
    if (set?.status === 'finished' && set.manifestPath !== null && (await fileIO.exists(set.manifestPath))) {
      return {
        state: 'finished',
        result: finished(await readJsonFile<TrainingManifest>(fileIO, set.manifestPath), set.manifestPath),
      }
    }
    const isBuilding = set?.status === 'building' && (await (isOpen?.(set.workflowId, set.runId) ?? false))
    return { state: isBuilding ? 'building' : 'nobody', result: null }
  }
