/**
 * Drops a training set: what it keeps of its tables, its files, and that anybody used it.
 *
 * The registry's rows go last, so that a drop that broke off is seen in the list and can be asked for again; the plan goes
 * last of the files, for it says in which tables the tags are. What a request had written elsewhere is its owner's.
 */
import { dirname } from 'node:path'
import { InputError } from '../../model/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { deleteBelow } from '../runFiles.ts'
import { askerOfOpen } from '../takeBackLostRuns.ts'
import { knownSet } from './finishedSet.ts'
import { dropTags, planAt } from './sweepTraining.ts'

export interface DroppedTraining {
  readonly id: string
  /** Groups that keep a snapshot for it no longer. */
  readonly groups: readonly string[]
  /** A folder of somebody's own with the set's files, which stays. */
  readonly leftAlone: string | null
}

/** @throws InputError for a set that is not there, or is being built */
export async function dropTraining(deps: ActivityDeps, id: string): Promise<DroppedTraining> {
  const { status, planPath, manifestPath, workflowId, runId } = await knownSet(deps, id)
  if (status === 'building' && (await askerOfOpen(deps)(workflowId, runId))) {
    throw new InputError(
      `Training set ${id} is being built by workflow ${workflowId}. Wait for it, or cancel the workflow first.`,
      { trainingSet: id, workflowId },
    )
  }
  const plan = await planAt(deps, planPath)
  const output = plan?.output ?? null
  // Without its manifest nobody takes it for a whole set any more.
  if (manifestPath !== null && output === null) await deps.fileIO.delete(manifestPath)
  await deleteBelow(deps.fileIO, dirname(planPath), (location) => location === planPath)
  if (plan !== null) await deps.fileIO.delete(plan.labels.path)
  await dropTags(deps, id, plan)
  await deps.fileIO.delete(planPath)
  await deps.registry.forgetTrainingSet(id)
  return { id, groups: [...new Set(plan?.selections.map(({ pin }) => pin.group))], leftAlone: output }
}
