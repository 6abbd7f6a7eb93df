/**
 * Plans a training set: pins first, then everything else. What its content depends on is in the plan, and the hash of that
 * is its name: the same request on the same state is the same set, whoever asks.
 */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { quoteLiteral } from '../../iceberg/index.ts'
import {
  durationMs,
  formatInstant,
  InputError,
  intervalCount,
  madeColumns,
  parseTrainingRequest,
  type EpochMs,
  type IntervalRange,
  type OnDemand,
  type TrainingRequest,
} from '../../model/index.ts'
import {
  blockDigests,
  contentHash,
  keepLabels,
  labelRow,
  listFilesOf,
  type KeptLabels,
} from '../../offline/index.ts'
import { canonicalJson, onDemandHash, type TrainingSet } from '../../registry/index.ts'
import type { Activities, PlannedTraining } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { withHeartbeat } from '../heartbeat.ts'
import { readJsonFile, writeOnce } from '../runFiles.ts'
import { labelsSource } from './labelsSource.ts'
import { missingIntervals, type PinnedInterval, type PinnedIntervals } from './pinGroup.ts'
import { pinGroups, type PinnedGroup, type Pins } from './pinGroups.ts'
import { knownRequest, type KnownSelection } from './selections.ts'
import {
  plannedDefault,
  planPathOf,
  tagOf,
  timestampColumns,
  type PlannedOnDemand,
  type PlannedSelection,
  type TrainingPlan,
} from './trainingPlan.ts'

/** Labels of one part; a multiple of the content hash's block, so that parts do not show in it. */
const labelsOfPart = 64 * 65_536

/** How many ranges of missing intervals a plan names. */
const namedRanges = 20

export const planTraining =
  (deps: ActivityDeps): Activities['planTraining'] =>
  ({ request: given, workflowId, runId }) =>
    // Labels may be many: they are read, counted and hashed here.
    withHeartbeat(async () => {
      const request = parseTrainingRequest(given)
      const output = request.output === undefined ? null : resolve(deps.baseFolder, request.output)
      const { selections, onDemand } = await knownRequest(deps, request)
      const now = await deps.now()
      const pins = await pinGroups(deps, request, selections)
      const kept = await keptLabels(deps, request, { selections, onDemand, pins, now })
      try {
        const plan = await makePlan(deps, request, { selections, onDemand, pins, kept, output })
        refuseUnfit(plan)
        return await openPlan(deps, plan, { workflowId, runId, output })
      } finally {
        await deps.fileIO.delete(kept.unusedPath())
      }
    })

interface Kept extends KeptLabels {
  readonly path: string
  readonly contentHash: string
  readonly timeColumn: string
  /** The kept file, unless a plan refers to it. */
  unusedPath(): string
  use(): void
}

/** Reads the labels where they lie and keeps them, in their order, before anything else is decided. */
async function keptLabels(
  deps: ActivityDeps,
  request: TrainingRequest,
  { selections, onDemand, pins, now }: Omit<PlanParts, 'kept' | 'output'> & { now: EpochMs },
): Promise<Kept> {
  const folder = deps.fileIO.localPath(`${deps.trainingFolder}/labels`)
  mkdirSync(folder, { recursive: true })
  const name = `${randomUUID()}.parquet`
  const [path, local] = [`${deps.trainingFolder}/labels/${name}`, resolve(folder, name)]
  const keys = selections.flatMap(({ keys: columns, known }) =>
    columns.map(({ name: key, type, column }) => ({ column, type, as: `${known.group.id}.${key}` })),
  )
  const asked = onDemand.flatMap((one) => Object.values(plannedOnDemand(request, one).request))
  const wanted = [...keys.map(({ column }) => column), ...asked]
  const { source, scratch } = await labelsSource(deps, request, { folder, wanted, pins, now })
  const ordered = await deps.openOrdered()
  let used = false
  try {
    const files = await listFilesOf([source], deps.environment, deps.baseFolder)
    const connection = await ordered.connect()
    const labels = await keepLabels(connection, { source, files, keys, path: local })
    const relation = `(SELECT ${labelRow} AS "row", * EXCLUDE (${labelRow}) FROM read_parquet(${quoteLiteral(local)}))`
    const digests = await blockDigests(connection, relation, labels.columns, labels.rows)
    connection.closeSync()
    return {
      ...labels,
      path,
      contentHash: contentHash(digests),
      timeColumn: source.timestamp,
      unusedPath: () => (used ? `${path}.unused` : path),
      use: () => (used = true),
    }
  } catch (error) {
    rmSync(local, { force: true })
    throw error
  } finally {
    await ordered.close()
    if (scratch !== null) rmSync(scratch, { force: true })
  }
}

interface PlanParts {
  readonly selections: readonly KnownSelection[]
  readonly onDemand: readonly OnDemand[]
  readonly pins: Pins
  readonly kept: Kept
  readonly output: string | null
}

async function makePlan(
  deps: ActivityDeps,
  request: TrainingRequest,
  { selections, onDemand, pins, kept, output }: PlanParts,
): Promise<TrainingPlan & { use(): void }> {
  const functions = onDemand.map((one) => plannedOnDemand(request, one))
  refuseLabelNames(request, kept, selections, functions)
  const planned = selections.map((selection) =>
    planSelection(selection, pins.get(selection.known.group.id) as PinnedGroup, kept.range),
  )
  const content = {
    version: 1,
    labels: kept.contentHash,
    timeColumn: kept.timeColumn,
    selections: planned.map(({ pin, role, name, keys, features, fingerprints, ttlMs }) => ({
      ...{ pin, role, name, keys, features, fingerprints, ttlMs },
    })),
    onDemand: functions,
    ...{
      knowledgeCutoff: request.knowledgeCutoff ?? true,
      eventTimestamps: request.eventTimestamps ?? false,
    },
    ...{ unmatched: request.unmatched ?? false, format: request.format ?? 'parquet', output },
  }
  const hash = createHash('sha256').update(canonicalJson(content)).digest('hex').slice(0, 16)
  const rows = kept.rows
  return {
    id: `${request.name}_${hash}`,
    name: request.name,
    // Inline labels are kept with the set, and would make its plan a file of rows.
    request: 'rows' in request.labels ? { ...request, labels: { ...request.labels, rows: [] } } : request,
    output,
    plannedAt: new Date(await deps.now()).toISOString(),
    labels: {
      ...{ path: kept.path, rows, contentHash: kept.contentHash, timeColumn: kept.timeColumn },
      columns: kept.columns,
      range: kept.range === null ? null : { from: String(kept.range.from), to: String(kept.range.to) },
    },
    selections: planned,
    onDemand: functions,
    parts: Math.max(1, Math.ceil(rows / labelsOfPart)),
    partRows: labelsOfPart,
    use: () => kept.use(),
  }
}

function planSelection(
  { known, role, name, keys, features, fingerprints, ttlMs }: KnownSelection,
  { pin, intervals }: PinnedGroup,
  range: KeptLabels['range'],
): PlannedSelection {
  const cadenceMs = durationMs(known.group.every)
  const bounds = range && { fromMs: Number(range.from / 1000n), toMs: Number(range.to / 1000n) }
  const missing: IntervalRange[] = bounds === null ? [] : missingIntervals(known, intervals, bounds)
  const wanted = Object.fromEntries(features.map(({ name: one }) => [one, fingerprints[one] ?? '']))
  const counted = (isSuch: Parameters<typeof countFeatures>[3]) =>
    bounds === null ? {} : countFeatures(intervals, wanted, { ...bounds, ttlMs }, isSuch)
  return {
    ...{ pin, role, name, keys, features, ttlMs },
    fingerprints: wanted,
    missing: missing.slice(0, namedRanges),
    missingIntervals: missing.reduce((sum, one) => sum + intervalCount(one, cadenceMs), 0),
    mixed: counted(({ features: computed }, one, fingerprint) => computed[one] !== fingerprint),
    filled: counted((interval, one) => interval.filled.includes(one)),
  }
}

/** Requested features with how many published intervals that labels can see are such. */
function countFeatures(
  intervals: PinnedIntervals,
  wanted: Readonly<Record<string, string>>,
  { fromMs, toMs, ttlMs }: { fromMs: number; toMs: number; ttlMs: number | null },
  isSuch: (interval: PinnedInterval, feature: string, fingerprint: string) => boolean,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [end, interval] of intervals) {
    if (end > toMs || (ttlMs !== null && end < fromMs - ttlMs)) continue
    for (const [name, fingerprint] of Object.entries(wanted)) {
      if (isSuch(interval, name, fingerprint)) counts[name] = (counts[name] ?? 0) + 1
    }
  }
  return counts
}

function plannedOnDemand({ labels }: TrainingRequest, onDemand: OnDemand): PlannedOnDemand {
  const mapped = 'keys' in labels ? (labels.keys ?? {}) : {}
  return {
    name: onDemand.name,
    hash: onDemandHash(onDemand),
    request: Object.fromEntries(Object.keys(onDemand.request).map((name) => [name, mapped[name] ?? name])),
    columns: madeColumns(onDemand).map((one) => ({ ...one, default: plannedDefault(one.default) })),
  }
}

/** A label column is never silently lost to a feature of its name. */
function refuseLabelNames(
  { name, eventTimestamps }: TrainingRequest,
  { columns }: Kept,
  selections: readonly KnownSelection[],
  onDemand: readonly PlannedOnDemand[],
): void {
  const labels = new Map(columns.map((column) => [column.name.toLowerCase(), column.name]))
  const features = [
    ...selections.flatMap(({ features }) =>
      features.filter(({ hidden }) => !hidden).map(({ column }) => column),
    ),
    ...onDemand.flatMap(({ columns: all }) => all.map((one) => one.name)),
  ]
  const timestamps =
    eventTimestamps === true ? selections.flatMap((one) => Object.values(timestampColumns(one.name))) : []
  const taken = timestamps.find((column) => labels.has(column.toLowerCase()))
  if (taken !== undefined) {
    throw new InputError(
      `training set ${name}: the labels have a column ${labels.get(taken.toLowerCase())}, and an event timestamp or age is called so too. Give the label column another name, or leave eventTimestamps out.`,
      { column: taken },
    )
  }
  const twin = features.find((column) => labels.has(column.toLowerCase()))
  if (twin !== undefined) {
    throw new InputError(
      `training set ${name}: the labels have a column ${labels.get(twin.toLowerCase())}, and a feature is called so too. Ask for "fullNames": true, or give the label column another name.`,
      { column: twin },
    )
  }
  for (const { name: of, request } of onDemand) {
    for (const column of Object.values(request)) {
      if (columns.some((one) => one.name === column)) continue
      throw new InputError(
        `training set ${name}: the on-demand features ${of} want ${column} of the request, which the labels do not have. They have ${columns.map((one) => one.name).join(', ')}. Name the one that it is: "keys": {"${column}": "…"}.`,
        { column },
      )
    }
  }
}

function refuseUnfit({ name, request, selections }: TrainingPlan): void {
  for (const { pin, mixed, missing, missingIntervals: count } of selections) {
    const [feature] = Object.entries(mixed)
    if (feature !== undefined && request.allowMixed !== true) {
      throw new InputError(
        `training set ${name}: ${feature[1]} published intervals of ${pin.group} that the labels can see have ${feature[0]} as it was computed by another definition, or not at all. Backfill them, or accept it: "allowMixed": true.`,
        { group: pin.group, feature: feature[0], intervals: feature[1] },
      )
    }
    const [first] = missing
    if (first !== undefined && request.strict === true) {
      throw new InputError(
        `training set ${name}: ${count} intervals of ${pin.group} in the labels' range were never published, the first from ${formatInstant(first.from)} to ${formatInstant(first.to)}. Backfill them, or leave "strict" out.`,
        { group: pin.group, intervals: count },
      )
    }
  }
}

/** Claims the set, or finds who has. Tags keep its snapshots from then on. */
async function openPlan(
  deps: ActivityDeps,
  plan: TrainingPlan & { use(): void },
  { workflowId, runId, output }: { workflowId: string; runId: string; output: string | null },
): Promise<PlannedTraining> {
  const { use, ...written } = plan
  const planPath = planPathOf(deps.trainingFolder, plan.id)
  const there = await deps.registry.trainingSet(plan.id)
  if (there?.status === 'finished' && there.manifestPath !== null) {
    if (await deps.fileIO.exists(there.manifestPath)) return described(deps, there, runId)
    await deps.registry.forgetTrainingSet(plan.id)
  } else if (output !== null) refuseOccupied(plan, output)
  const now = await deps.now()
  const claim = { id: plan.id, name: plan.name, workflowId, runId, planPath, startedAt: now }
  let set = await deps.registry.claimTrainingSet(claim)
  if (set.runId !== runId && set.status !== 'finished' && !(await isBuilt(deps, set))) {
    set = await deps.registry.claimTrainingSet(claim, set)
  }
  if (await writeOnce(deps.fileIO, planPath, written)) use()
  await tagSnapshots(deps, plan)
  return described(deps, set, runId)
}

async function isBuilt(
  { isOpen }: ActivityDeps,
  { status, workflowId, runId }: TrainingSet,
): Promise<boolean> {
  return status === 'building' && (await (isOpen?.(workflowId, runId) ?? Promise.resolve(false)))
}

/** One of an earlier, unfinished attempt at the same set holds nothing but its parts. */
function refuseOccupied({ name }: TrainingPlan, output: string): void {
  const isFree =
    !existsSync(output) || readdirSync(output).every((file) => /^(part|unmatched)-\d+-/.test(file))
  if (isFree) return
  throw new InputError(
    `training set ${name}: output ${output} is there already and not empty. Name a new folder, or leave output out.`,
    { output },
  )
}

async function tagSnapshots(
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
async function described(deps: ActivityDeps, set: TrainingSet, runId: string): Promise<PlannedTraining> {
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
