/** Makes a training set's plan of what is known, kept and pinned, and refuses what cannot be. */
import { createHash } from 'node:crypto'
import {
  durationMs,
  formatInstant,
  InputError,
  intervalCount,
  madeColumns,
  type IntervalRange,
  type OnDemand,
  type TrainingRequest,
} from '../../model/index.ts'
import type { KeptLabels } from '../../offline/index.ts'
import { canonicalJson, onDemandHash } from '../../registry/index.ts'
import type { ActivityDeps } from '../deps.ts'
import type { Kept } from './keptLabels.ts'
import { missingIntervals, type PinnedInterval, type PinnedIntervals } from './pinGroup.ts'
import type { PinnedGroup, Pins } from './pinGroups.ts'
import { requestColumns, type KnownRequest, type KnownSelection } from './selections.ts'
import {
  plannedDefault,
  timestampColumns,
  type PlannedOnDemand,
  type PlannedSelection,
  type TrainingPlan,
} from './trainingPlan.ts'

/** Labels of one part; a multiple of the content hash's block, so that parts do not show in it. */
const labelsOfPart = 77 * 65_536

/** How many ranges of missing intervals a plan names. */
const namedRanges = 20

interface PlanParts extends KnownRequest {
  readonly pins: Pins
  readonly kept: Kept
  readonly output: string | null
}

/** What the content of a set depends on, with its hash in the set's name. */
export async function makePlan(
  deps: ActivityDeps,
  request: TrainingRequest,
  { selections, onDemand, pins, kept, output }: PlanParts,
): Promise<TrainingPlan> {
  const functions = onDemand.map((one) => plannedOnDemand(request, one))
  refuseLabelNames(request, kept, selections, functions)
  const planned = selections.map((selection) =>
    planSelection(selection, pins.get(selection.known.group.id) as PinnedGroup, kept.range),
  )
  const content = {
    version: 2,
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
      digests: kept.digests,
      columns: kept.columns,
      range: kept.range === null ? null : { from: String(kept.range.from), to: String(kept.range.to) },
    },
    selections: planned,
    onDemand: functions,
    parts: Math.max(1, Math.ceil(rows / labelsOfPart)),
    partRows: labelsOfPart,
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

function plannedOnDemand(request: TrainingRequest, onDemand: OnDemand): PlannedOnDemand {
  return {
    name: onDemand.name,
    hash: onDemandHash(onDemand),
    request: requestColumns(request, onDemand),
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

/** @throws InputError where intervals are of another definition, or lack and the request is strict */
export function refuseUnfit({ name, request, selections }: TrainingPlan): void {
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
