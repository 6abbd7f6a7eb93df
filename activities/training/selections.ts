/** From a request to the groups that it takes features of, under which keys, and to what its columns are called. */
import {
  durationMs,
  featureColumn,
  InputError,
  defaultsOf,
  type FeatureSelection,
  type KeyType,
  type OnDemand,
  type RequestedFeatures,
  type TrainingRequest,
} from '../../model/index.ts'
import { featureFingerprints } from '../../registry/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { groupOf, type KnownGroup } from '../groupOf.ts'
import { plannedDefault, timestampColumns, type PlannedFeature } from './trainingPlan.ts'

/** A selection with its group, before its table is pinned. */
export interface KnownSelection {
  readonly known: KnownGroup
  readonly role: string | null
  readonly name: string
  readonly keys: readonly { readonly name: string; readonly type: KeyType; readonly column: string }[]
  readonly features: readonly PlannedFeature[]
  readonly fingerprints: Readonly<Record<string, string>>
  readonly ttlMs: number | null
}

export interface KnownRequest {
  readonly selections: readonly KnownSelection[]
  readonly onDemand: readonly OnDemand[]
}

/** @throws InputError for an unknown service, group, version or feature, and for two columns of one name */
export async function knownRequest(deps: ActivityDeps, request: TrainingRequest): Promise<KnownRequest> {
  const { features, onDemand } = await asked(deps, request)
  const hidden = onDemand.flatMap(({ reads }) => reads).map((selection) => ({ selection, hidden: true }))
  const all = [...features.map((selection) => ({ selection, hidden: false })), ...hidden]
  const byPlace = new Map<string, KnownSelection>()
  for (const { selection, hidden: isHidden } of all) {
    const place = placeOf(request, selection)
    const there = byPlace.get(place) ?? (await emptySelection(deps, request, selection))
    byPlace.set(place, withFeatures(request, there, selection, isHidden))
  }
  const selections = [...byPlace.values()]
  refuseTwins(request, selections, onDemand)
  if (request.eventTimestamps === true) refuseTwinTimestamps(request, selections)
  return { selections, onDemand }
}

async function asked(
  deps: ActivityDeps,
  request: TrainingRequest,
): Promise<{ features: readonly FeatureSelection[]; onDemand: readonly OnDemand[] }> {
  if (request.service === undefined) {
    return { features: (request.features ?? []).map((one) => selectionOf(deps, one)), onDemand: [] }
  }
  const service = deps.definitions.services.get(request.service)
  const registered = (await deps.registry.services()).some(({ name }) => name === request.service)
  if (service === undefined || !registered) {
    const known = [...deps.definitions.services.keys()].sort().join(', ') || 'none'
    throw new InputError(
      service === undefined
        ? `There is no feature service ${JSON.stringify(request.service)}. The definitions have ${known}.`
        : `Feature service ${request.service} is defined but not registered. Run \`asof apply\` first.`,
      { service: request.service },
    )
  }
  return { features: service.features, onDemand: service.onDemand ?? [] }
}

function selectionOf({ definitions }: ActivityDeps, given: string | RequestedFeatures): FeatureSelection {
  const {
    group: id,
    features,
    as,
    keys,
  }: RequestedFeatures = typeof given === 'string' ? namedFeature(given) : given
  const group = definitions.groups.get(id)
  if (group === undefined) {
    const known = [...definitions.groups.keys()].sort().join(', ') || 'none'
    throw new InputError(`There is no feature group ${JSON.stringify(id)}. The definitions have ${known}.`, {
      group: id,
    })
  }
  if (as !== undefined) return group.as(as, keys ?? {}).pick(...features)
  const selection = group.pick(...features)
  return keys === undefined ? selection : { ...selection, keys }
}

function namedFeature(text: string): RequestedFeatures {
  const [, group, feature] = /^([^:]+):([^:]+)$/.exec(text) ?? []
  if (group !== undefined && feature !== undefined) return { group, features: [feature] }
  throw new InputError(
    `${JSON.stringify(text)} names no feature. Write <group>:<feature>, such as airport_delays_v1:mean_delay_24h.`,
  )
}

/** The label's column for a group's key: by the selection, then by the request. */
function columnOf({ labels }: TrainingRequest, { keys }: FeatureSelection, key: string): string {
  const column = keys?.[key] ?? key
  return ('keys' in labels ? labels.keys?.[column] : undefined) ?? column
}

/** Label columns by the names of an on-demand request. */
export function requestColumns({ labels }: TrainingRequest, { request }: OnDemand): Record<string, string> {
  const mapped = 'keys' in labels ? (labels.keys ?? {}) : {}
  return Object.fromEntries(Object.keys(request).map((name) => [name, mapped[name] ?? name]))
}

/** What tells one join from another. */
function placeOf(request: TrainingRequest, selection: FeatureSelection): string {
  const keys = Object.keys(selection.group.entity.keys).map((key) => columnOf(request, selection, key))
  return JSON.stringify([selection.group.id, selection.role ?? null, keys])
}

async function emptySelection(
  deps: ActivityDeps,
  request: TrainingRequest,
  selection: FeatureSelection,
): Promise<KnownSelection> {
  const known = await groupOf(deps, selection.group.id)
  const { group, bound } = known
  for (const key of Object.keys(selection.keys ?? {})) {
    if (Object.hasOwn(group.entity.keys, key)) continue
    throw new InputError(
      `feature group ${group.id}: keys: ${key} is no key of ${group.entity.name}, which has ${Object.keys(group.entity.keys).join(', ')}.`,
      { group: group.id, key },
    )
  }
  return {
    known,
    role: selection.role ?? null,
    name: selection.role ?? group.id,
    keys: bound.keys.map(({ name, type }) => ({ name, type, column: columnOf(request, selection, name) })),
    features: [],
    fingerprints: featureFingerprints(group),
    ttlMs: group.ttl === null ? null : durationMs(group.ttl),
  }
}

function withFeatures(
  { fullNames = false }: TrainingRequest,
  there: KnownSelection,
  selection: FeatureSelection,
  hidden: boolean,
): KnownSelection {
  const { bound, group } = there.known
  const defaults = defaultsOf(bound)
  const features = [...there.features]
  for (const name of selection.features) {
    const at = features.findIndex((feature) => feature.name === name)
    if (at >= 0 && (hidden || !(features[at] as PlannedFeature).hidden)) continue
    const type = bound.features.find((feature) => feature.name === name)?.type
    if (type === undefined)
      throw new InputError(
        `feature group ${group.id} has no feature ${name} in its table yet. Run \`asof apply\`.`,
      )
    const short = featureColumn(selection, name)
    const full = fullNames && selection.role === undefined ? `${group.id}__${name}` : short
    const column = hidden ? `${there.name}.${name}` : full
    const feature = { name, type, column, hidden, default: plannedDefault(defaults[name]) }
    if (at < 0) features.push(feature)
    else features[at] = feature
  }
  return { ...there, features }
}

function refuseTwins(
  { name }: TrainingRequest,
  selections: readonly KnownSelection[],
  onDemand: readonly OnDemand[],
): void {
  const seen = new Map<string, string>()
  const add = (column: string, of: string) => {
    const there = seen.get(column.toLowerCase())
    if (there !== undefined) {
      throw new InputError(
        `training set ${name}: ${there} and ${of} would both be called ${column}. Ask for "fullNames": true, which calls them <group>__<feature>.`,
        { column },
      )
    }
    seen.set(column.toLowerCase(), of)
  }
  for (const { features, known, role } of selections) {
    for (const { column, name: feature, hidden } of features) {
      if (!hidden) add(column, `${known.group.id}.${feature}${role === null ? '' : ` as ${role}`}`)
    }
  }
  for (const { name: of, features } of onDemand) {
    for (const feature of Object.keys(features)) add(feature, `${of}.${feature}`)
  }
}

function refuseTwinTimestamps({ name }: TrainingRequest, selections: readonly KnownSelection[]): void {
  const names = selections.map((selection) => selection.name)
  const twin = names.find((one, at) => names.indexOf(one) !== at)
  if (twin === undefined) return
  throw new InputError(
    `training set ${name}: ${twin} is taken twice, under different keys, and both event timestamps would be called ${timestampColumns(twin).event}. Take one of them in a role: "as": "…".`,
    { group: twin },
  )
}
