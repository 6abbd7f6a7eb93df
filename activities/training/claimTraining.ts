/** Claims a training set for the workflow that plans it, or finds who has. */
import { dirname } from 'node:path'
import type { TrainingSet } from '../../registry/index.ts'
import type { PlannedTraining } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { readJsonFile } from '../runFiles.ts'
import { takeFolder } from './outputFolder.ts'
import { planPathOf, tagOf, type TrainingPlan } from './trainingPlan.ts'

/** The set as the registry has it then: finished, claimed by this run, or by another that is under way. */
export async function claimTraining(
  deps: ActivityDeps,
  plan: TrainingPlan,
  { workflowId, runId }: { readonly workflowId: string; readonly runId: string },
): Promise<TrainingSet> {
  const there = await deps.registry.trainingSet(plan.id)
  if (there?.status === 'finished' && there.manifestPath !== null) {
    if (await deps.fileIO.exists(there.manifestPath)) return there
    await deps.registry.forgetTrainingSet(plan.id)
  } else if (plan.output !== null) takeFolder(plan, plan.output)
  const planPath = planPathOf(deps.trainingFolder, plan.id)
  const claim = { id: plan.id, name: plan.name, workflowId, runId, planPath, startedAt: await deps.now() }
  const set = await deps.registry.claimTrainingSet(claim)
  if (set.runId === runId || set.status === 'finished' || (await isBuilt(deps, set))) return set
  return deps.registry.claimTrainingSet(claim, set)
}

async function isBuilt(
  { isOpen }: ActivityDeps,
  { status, workflowId, runId }: TrainingSet,
): Promise<boolean> {
  return status === 'building' && (await (isOpen?.(workflowId, runId) ?? Promise.resolve(false)))
}

/** Keeps the set's snapshots from now on. */
export async function tagSnapshots(
  { catalog, store }: ActivityDeps,
  { id, selections }: TrainingPlan,
): Promise<void> {
  const pinned = new Map(selections.map(({ pin }) => [pin.group, pin.snapshotId]))
  for (const [group, snapshotId] of pinned) {
    if (snapshotId === null) continue
    const table = await catalog.loadTable({ namespace: store, name: group })
    await table.createTag(tagOf(id), { snapshotId: BigInt(snapshotId) })
  }
}

/** Of the plan as it was first written: the second to come may have kept its labels elsewhere. */
export async function describePlan(
  deps: ActivityDeps,
  set: TrainingSet,
  runId: string,
): Promise<PlannedTraining> {
  const plan = await readJsonFile<TrainingPlan>(deps.fileIO, set.planPath)
  return {
    id: plan.id,
    name: plan.name,
    planPath: set.planPath,
    state: set.status === 'finished' ? 'finished' : set.runId === runId ? 'mine' : 'building',
    workflowId: set.workflowId,
    labels: plan.labels.rows,
    parts: plan.parts,
    columns:
      plan.selections.flatMap(({ features }) => features.filter(({ hidden }) => !hidden)).length +
      plan.onDemand.flatMap(({ columns }) => columns).length,
    groups: plan.selections.map(({ pin, name, missingIntervals: missing, mixed }) => ({
      group: pin.group,
      name,
      snapshotId: pin.snapshotId,
      missingIntervals: missing,
      mixedFeatures: Object.keys(mixed),
    })),
    folder: dirname(set.planPath),
  }
}
