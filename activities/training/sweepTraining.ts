/**
 * Sweeps the folder of the training sets: sets that nobody builds any more are said to have failed, and what no set has any
 * use for is deleted.
 *
 * A set stands in the registry before its plan does, and its plan before its first part; so the files are listed before the
 * registry is asked. Kept labels come before all of that: they go by their age, where no plan refers to them. A set that the
 * registry does not know goes by its age, too, but one with a manifest is whole and stays, for a registry may be lost.
 */
import { NoSuchFile, type ListedFile } from '../../iceberg/index.ts'
import { durationMs } from '../../model/index.ts'
import type { Activities } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { readJsonFile } from '../runFiles.ts'
import { askerOfOpen } from '../takeBackLostRuns.ts'
import { failTraining } from './failTraining.ts'
import { manifestPathOf } from './finishTraining.ts'
import { planPathOf, tagOf, type TrainingPlan } from './trainingPlan.ts'

/** Where kept labels are; every other folder is a set's. */
const labelsFolder = 'labels'

export const sweepTraining =
  (deps: ActivityDeps): Activities['sweepTraining'] =>
  async ({ olderThan }) => {
    // Files are as old as their store says.
    const modifiedBefore = Date.now() - durationMs(olderThan, 'olderThan')
    const found = await listFolders(deps)
    const failed = await failLost(deps)
    let [sets, files] = [0, 0]
    for (const [folder, own] of found) {
      const isUnknown = folder !== labelsFolder && (await isUnknownSet(deps, folder, own, modifiedBefore))
      files += isUnknown ? await sweepSet(deps, folder, own) : await sweepTemporary(deps, own, modifiedBefore)
      if (isUnknown) sets += 1
    }
    files += await sweepLabels(deps, found.get(labelsFolder) ?? [], modifiedBefore)
    return { failed, sets, files }
  }

type Folders = ReadonlyMap<string, readonly ListedFile[]>

async function listFolders({ fileIO, trainingFolder }: ActivityDeps): Promise<Folders> {
  const found = new Map<string, ListedFile[]>()
  for await (const file of fileIO.listWithTimes(trainingFolder)) {
    const path = file.location.slice(`${trainingFolder}/`.length)
    const folder = path.slice(0, Math.max(0, path.indexOf('/')))
    if (folder === '') continue
    const own = found.get(folder)
    if (own === undefined) found.set(folder, [file])
    else own.push(file)
  }
  return found
}

/** Sets whose workflow was terminated, timed out or is gone: nobody else will say so. */
async function failLost(deps: ActivityDeps): Promise<number> {
  const isOpen = askerOfOpen(deps)
  let failed = 0
  for (const { id, status, workflowId, runId } of await deps.registry.trainingSets()) {
    if (status !== 'building' || (await isOpen(workflowId, runId))) continue
    // It may have ended well between the two questions, or another workflow has taken it over.
    const now = await deps.registry.trainingSet(id)
    if (now?.status !== 'building' || now.runId !== runId) continue
    const reason = 'Its workflow is not open in Temporal any more: it was terminated, timed out or is gone.'
    await failTraining(deps)({ id, runId, reason })
    failed += 1
  }
  return failed
}

async function isUnknownSet(
  deps: ActivityDeps,
  id: string,
  files: readonly ListedFile[],
  modifiedBefore: number,
): Promise<boolean> {
  if (!files.every(({ modifiedMs }) => modifiedMs < modifiedBefore)) return false
  const planPath = planPathOf(deps.trainingFolder, id)
  const plan = await planAt(deps, planPath)
  if (plan !== null && (await deps.fileIO.exists(manifestPathOf(planPath, plan)))) return false
  return (await deps.registry.trainingSet(id)) === null
}

/** The plan goes last: it says in which tables the set's tags are. What a request had written elsewhere is its owner's. */
async function sweepSet(deps: ActivityDeps, id: string, files: readonly ListedFile[]): Promise<number> {
  const planPath = planPathOf(deps.trainingFolder, id)
  await dropTags(deps, id, await planAt(deps, planPath))
  const isPlan = ({ location }: ListedFile) => location === planPath
  for (const { location } of files.filter((file) => !isPlan(file))) await deps.fileIO.delete(location)
  await deps.fileIO.delete(planPath)
  return files.length
}

/** Lets the tables forget that the set keeps snapshots of theirs. */
export async function dropTags(
  { catalog, store }: ActivityDeps,
  id: string,
  plan: TrainingPlan | null,
): Promise<void> {
  for (const group of new Set(plan?.selections.map(({ pin }) => pin.group))) {
    const identifier = { namespace: store, name: group }
    if (await catalog.tableExists(identifier)) await (await catalog.loadTable(identifier)).dropTag(tagOf(id))
  }
}

async function sweepLabels(
  deps: ActivityDeps,
  kept: readonly ListedFile[],
  modifiedBefore: number,
): Promise<number> {
  const old = kept.filter(
    ({ location, modifiedMs }) => modifiedMs < modifiedBefore && !location.endsWith('.tmp'),
  )
  if (old.length === 0) return 0
  const referred = new Set<string>()
  for await (const location of deps.fileIO.list(deps.trainingFolder)) {
    const plan = location.endsWith('/plan.json') ? await planAt(deps, location) : null
    if (plan !== null) referred.add(plan.labels.path)
  }
  const left = old.filter(({ location }) => !referred.has(location))
  for (const { location } of left) await deps.fileIO.delete(location)
  return left.length
}

/** What a process was about to give a name. */
async function sweepTemporary(
  { fileIO }: ActivityDeps,
  files: readonly ListedFile[],
  modifiedBefore: number,
): Promise<number> {
  const left = files.filter(
    ({ location, modifiedMs }) => location.endsWith('.tmp') && modifiedMs < modifiedBefore,
  )
  for (const { location } of left) await fileIO.delete(location)
  return left.length
}

/** Null where there is none, or none any more. */
export async function planAt({ fileIO }: ActivityDeps, location: string): Promise<TrainingPlan | null> {
  try {
    return await readJsonFile<TrainingPlan>(fileIO, location)
  } catch (error) {
    if (error instanceof NoSuchFile) return null
    throw error
  }
}
