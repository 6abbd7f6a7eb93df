/** Definitions as plain data: what the registry keeps, `show` prints and `describeChange` compares. */
import type { BoundGroup } from '../model/bound.ts'
import { gateName } from '../model/gate.ts'
import type { FeatureGroup } from '../model/group.ts'
import type { FeatureService } from '../model/service.ts'
import type { EpochMs } from '../model/time.ts'
import { plainData, type Json } from './canonicalJson.ts'
import { groupFingerprint } from './fingerprint.ts'
import type { RegisteredGroup } from './registry.ts'

/** A group without its functions. Keys are a list, for their order counts; gates stand under their names. */
export function definitionJson(group: FeatureGroup): { readonly [field: string]: Json } {
  const { name, version, owner, description, entity, source, every, availableAfter, lateness, ttl } = group
  const { online, allowPartialWindows, features, gates } = group
  const keys = Object.entries(entity.keys).map(([key, type]) => ({ name: key, type }))
  return plainData({
    ...{ name, version, owner, description },
    entity: { name: entity.name, description: entity.description, keys },
    source: { ...source, kind: undefined },
    ...{ every, availableAfter, lateness, ttl, online, allowPartialWindows, features },
    gates: Object.fromEntries(gates.map((gate) => [gateName(gate), gate])),
  }) as { readonly [field: string]: Json }
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
    registeredAt,
  }
}
