/** A training set as people ask about it: by its id, with its manifest. */
import { InputError } from '../../model/index.ts'
import type { TrainingSet } from '../../registry/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { readJsonFile } from '../runFiles.ts'
import type { TrainingManifest } from './finishTraining.ts'

export interface FinishedSet {
  readonly set: TrainingSet
  readonly manifest: TrainingManifest
}

/** @throws InputError where there is no such set */
export async function knownSet(
  { registry }: Pick<ActivityDeps, 'registry'>,
  id: string,
): Promise<TrainingSet> {
  const set = await registry.trainingSet(id)
  if (set !== null) return set
  throw new InputError(`There is no training set ${id}. \`asof train list\` names those that there are.`, {
    trainingSet: id,
  })
}

/** @throws InputError where there is no such set, or it was not built, or its manifest is gone */
export async function finishedSet(
  deps: Pick<ActivityDeps, 'registry' | 'fileIO'>,
  id: string,
): Promise<FinishedSet> {
  const set = await knownSet(deps, id)
  const { status, manifestPath, reason, workflowId } = set
  if (status !== 'finished' || manifestPath === null) {
    const why =
      status === 'failed'
        ? `was not built: ${reason ?? 'it failed'} Ask for it again.`
        : `is not finished; workflow ${workflowId} builds it. Wait for that.`
    throw new InputError(`Training set ${id} ${why}`, { trainingSet: id, status })
  }
  if (await deps.fileIO.exists(manifestPath)) {
    return { set, manifest: await readJsonFile<TrainingManifest>(deps.fileIO, manifestPath) }
  }
  throw new InputError(
    `Training set ${id}: its manifest ${manifestPath} is gone. Ask for the set again, or forget it with \`asof train drop ${id}\`.`,
    { trainingSet: id, manifest: manifestPath },
  )
}
