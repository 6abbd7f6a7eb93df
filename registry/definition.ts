/** Definitions as plain data: what the registry keeps, `show` prints and `describeChange` compares. */
import type { BoundGroup } from '../model/bound.ts'
import { gateName } from '../model/gate.ts'
import { keyColumns, type FeatureGroup, type FeatureSelection } from '../model/group.ts'
import type { OnDemand } from '../model/onDemand.ts'
import type { FeatureService } from '../model/service.ts'
import type { Source } from '../model/source.ts'
import type { EpochMs } from '../model/time.ts'
import { plainData, type Json } from './canonicalJson.ts'
import { featureFingerprints, groupFingerprint } from './fingerprint.ts'
import type { RegisteredGroup } from './registry.ts'

export type JsonFields = { readonly [field: string]: Json }

/**
 * A group without its functions. Keys are a list, for their order counts; sources, features and gates stand under their
 * names.
 */
export function definitionJson(group: FeatureGroup): JsonFields {
  const { name, version, owner, description, fix, entity, every, availableAfter, lateness, ttl } = group
  const { online, allowPartialWindows, buckets, features, gates } = group
  const keys = Object.entries(entity.keys).map(([key, type]) => ({ name: key, type }))
  return plainData({
    ...{ name, version, owner, description, fix },
    entity: { name: entity.name, description: entity.description, keys },
    sources: sourcesJson(group.sources),
    compute: computeJson(group),
    ...{ every, availableAfter, lateness, ttl, online, allowPartialWindows },
    // Left out where there are none, so that what was registered before there were buckets is the same.
    buckets: buckets ?? undefined,
    features,
    gates: Object.fromEntries(gates.map((gate) => [gateName(gate), gate])),
  }) as JsonFields
}

function sourceJson(source: Source): object {
  const fields = { ...source, kind: undefined, name: undefined }
  return source.format === 'sql' ? { ...fields, sources: sourcesJson(source.sources) } : fields
}

const sourcesJson = (sources: readonly Source[]) =>
  Object.fromEntries(sources.map((source) => [source.name, sourceJson(source)]))

/** Aggregates stand with the features; a function has no text that every loader agrees on. */
function computeJson({ compute }: FeatureGroup): object {
  if (compute.kind === 'aggregate') return { kind: compute.kind }
  return compute.kind === 'map' ? { ...compute, map: undefined } : compute
}

/** A service: its features by group id, what it computes on demand, and whether it is pre-joined. */
export function serviceJson(service: FeatureService): Json {
  const { name, description, features, onDemand = [], preJoined = false } = service
  return plainData({
    ...{ name, description, features: features.map(selectionJson) },
    onDemand: onDemand.length === 0 ? undefined : onDemand.map(onDemandJson),
    preJoined: preJoined ? true : undefined,
  })
}

/** In a role, every key of the group with its column, so that a column that is left out and one that is said are one. */
function selectionJson(selection: FeatureSelection): object {
  const { group, features, role } = selection
  return { group: group.id, features, role, keys: role === undefined ? undefined : keyColumns(selection) }
}

/** On-demand features without their function. What it makes is a list, for the order counts. */
export function onDemandJson({
  name,
  description,
  request,
  reads,
  features,
  codeHash,
}: OnDemand): JsonFields {
  return plainData({
    ...{ name, description, request, reads: reads.map(selectionJson) },
    features: Object.entries(features).map(([feature, declared]) => ({ name: feature, ...declared })),
    codeHash,
  }) as JsonFields
}

/** What `registerGroup` takes, for a group that is bound to its data. */
export function registrationOf(bound: BoundGroup, registeredAt: EpochMs): Omit<RegisteredGroup, 'revision'> {
  return {
    id: bound.group.id,
    fingerprint: groupFingerprint(bound.group),
    definition: definitionJson(bound.group),
    keys: bound.keys,
    features: bound.features,
    featureFingerprints: featureFingerprints(bound.group),
    registeredAt,
    retiredAt: null,
  }
}
