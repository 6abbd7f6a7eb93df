/** Ends a training set: its parts become one manifest, whose existence says that the set is whole. */
import { InputError, type TrainingRequest } from '../../model/index.ts'
import { contentHash } from '../../offline/index.ts'
import type { Activities, FinishedTraining } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { readJsonFile, writeOnce } from '../runFiles.ts'
import {
  partJsonPathOf,
  placeOf,
  type ColumnSummary,
  type PartFile,
  type PlannedOnDemand,
  type TrainingPlan,
} from './trainingPlan.ts'

export interface TrainingManifest {
  readonly id: string
  readonly name: string
  readonly request: TrainingRequest
  readonly plannedAt: string
  readonly builtAt: string
  readonly rows: number
  /** Of all values in their order (`offline/contentHash.ts`). */
  readonly contentHash: string
  readonly labels: Omit<TrainingPlan['labels'], 'digests'>
  readonly files: readonly string[]
  /** Labels that found nothing, by group; null where nobody asked. */
  readonly unmatchedFiles: readonly string[] | null
  readonly columns: readonly (ColumnSummary & { readonly nullRate: number | null })[]
  readonly groups: readonly ManifestGroup[]
  readonly onDemand: readonly PlannedOnDemand[]
  readonly knowledgeCutoff: boolean
  /** Whether rows may see events that had not arrived when they were due. */
  readonly hindsight: boolean
}

export interface ManifestGroup extends Omit<TrainingPlan['selections'][number], 'features'> {
  readonly features: TrainingPlan['selections'][number]['features']
  readonly matched: number
  /** Share of the labels that found a row; null where there are none. */
  readonly matchRate: number | null
}

export const manifestPathOf = (planPath: string, plan: TrainingPlan) =>
  `${placeOf(planPath, plan.output)}/manifest.json`

export const finishTraining =
  (deps: ActivityDeps): Activities['finishTraining'] =>
  async ({ planPath }) => {
    const plan = await readJsonFile<TrainingPlan>(deps.fileIO, planPath)
    const parts = await Promise.all(
      Array.from({ length: plan.parts }, (_, part) =>
        readJsonFile<PartFile>(deps.fileIO, partJsonPathOf(planPath, part)),
      ),
    )
    const manifestPath = manifestPathOf(planPath, plan)
    const builtAt = new Date(await deps.now()).toISOString()
    await writeOnce(deps.fileIO, manifestPath, manifestOf(plan, parts, builtAt))
    const manifest = await readJsonFile<TrainingManifest>(deps.fileIO, manifestPath)
    if (manifest.id !== plan.id) {
      throw new InputError(
        `training set ${plan.id}: ${manifestPath} is there already, of ${manifest.id}. Name another folder for the output.`,
        { output: manifestPath },
      )
    }
    await sweepAttempts(deps, placeOf(planPath, plan.output), manifest)
    const { rows, contentHash: hash } = manifest
    const endedAt = await deps.now()
    await deps.registry.endTrainingSet(plan.id, {
      ...{ status: 'finished', endedAt, manifestPath, contentHash: hash, rows },
    })
    await recordUsage(deps, plan, endedAt)
    return finished(manifest, manifestPath)
  }

/** What workflows and people are told of a finished set. */
export function finished(manifest: TrainingManifest, manifestPath: string): FinishedTraining {
  const { id, rows, contentHash: hash, groups } = manifest
  return {
    ...{ id, rows, contentHash: hash, manifestPath },
    groups: groups.map(({ name, pin, matchRate }) => ({ name, group: pin.group, matchRate })),
  }
}

export function manifestOf(
  plan: TrainingPlan,
  parts: readonly PartFile[],
  builtAt: string,
): TrainingManifest {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0)
  const { id, name, request, plannedAt, onDemand, selections } = plan
  const { path, contentHash: labelsHash, rows: labelRows, timeColumn, columns, range } = plan.labels
  const labels = { path, rows: labelRows, contentHash: labelsHash, timeColumn, columns, range }
  return {
    ...{ id, name, request, plannedAt, builtAt, rows, labels, onDemand },
    contentHash: contentHash(parts.flatMap(({ digests }) => digests)),
    files: parts.map(({ file }) => file),
    unmatchedFiles:
      request.unmatched === true
        ? parts.flatMap(({ unmatched }) => (unmatched === null ? [] : [unmatched]))
        : null,
    columns: columnsOf(parts).map((column) => ({
      ...column,
      nullRate: rows === 0 ? null : column.nulls / rows,
    })),
    groups: selections.map((selection, at) => {
      const matched = parts.reduce((sum, part) => sum + (part.matched[at] ?? 0), 0)
      return { ...selection, matched, matchRate: rows === 0 ? null : matched / rows }
    }),
    knowledgeCutoff: request.knowledgeCutoff ?? true,
    hindsight: selections.some(({ pin }) => pin.hindsight),
  }
}

function columnsOf(parts: readonly PartFile[]): ColumnSummary[] {
  const [first, ...others] = parts.map(({ columns }) => columns)
  return (first ?? []).map((column, at) =>
    others.reduce((sum, columns) => both(sum, columns[at] as ColumnSummary), column),
  )
}

const both = (one: ColumnSummary, other: ColumnSummary): ColumnSummary => ({
  ...one,
  nulls: one.nulls + other.nulls,
  min: extreme(one, one.min, other.min, -1),
  max: extreme(one, one.max, other.max, 1),
})

const numbers = /^(DOUBLE|FLOAT|BIGINT|INTEGER|SMALLINT|TINYINT)$/

/** Text compares as instants and words do; numbers as numbers, integers without being rounded. */
function extreme(
  { type }: ColumnSummary,
  one: string | null,
  other: string | null,
  sign: 1 | -1,
): string | null {
  if (one === null || other === null) return one ?? other
  const isWhole = /^-?\d+$/.test(one) && /^-?\d+$/.test(other)
  const value = (text: string) => (isWhole ? BigInt(text) : numbers.test(type) ? Number(text) : text)
  const isGreater = value(one) > value(other)
  return isGreater === (sign === 1) ? one : other
}

/** Files of attempts that did not come to their end. */
async function sweepAttempts(
  { fileIO }: ActivityDeps,
  place: string,
  manifest: TrainingManifest,
): Promise<void> {
  const kept = new Set([...manifest.files, ...(manifest.unmatchedFiles ?? [])])
  for await (const location of fileIO.list(place)) {
    if (/\/(part|unmatched)-\d+-[0-9a-f]+\.(parquet|arrow)$/.test(location) && !kept.has(location)) {
      await fileIO.delete(location)
    }
  }
}

async function recordUsage({ registry }: ActivityDeps, plan: TrainingPlan, usedAt: number): Promise<void> {
  const { model } = plan.request
  if (model === undefined) return
  await registry.recordUsage(
    plan.selections.flatMap(({ pin, features }) =>
      features.map(({ name }) => ({ model, group: pin.group, feature: name, trainingSet: plan.id, usedAt })),
    ),
  )
}
