/** Definitions as plain data: what the registry keeps, `show` prints and `describeChange` compares. */
import type { BoundGroup } from '../model/bound.ts'
import { gateName } from '../model/gate.ts'
import type { FeatureGroup } from '../model/group.ts'
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
  const { online, allowPartialWindows, features, gates } = group
  const keys = Object.entries(entity.keys).map(([key, type]) => ({ name: key, type }))
  return plainData({
    ...{ name, version, owner, description, fix },
    entity: { name: entity.name, description: entity.description, keys },
    sources: sourcesJson(group.sources),
    compute: computeJson(group),
    ...{ every, availableAfter, lateness, ttl, online, allowPartialWindows, features },
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

/** A service: its features by group id. */
export function serviceJson({ name, description, features }: FeatureService): Json {
  return plainData({
    name,
    description,
    features: features.map((selection) => ({ group: selection.group.id, features: selection.features })),
  })
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
