/** What a plan tells a person about and does not stop for. */
import type { FeatureGroup } from '../model/index.ts'
import {
  duplicateFeatures,
  featureFingerprints,
  type NamedFeatures,
  type RegisteredGroup,
  type RegisteredService,
} from '../registry/index.ts'

export function registrationWarnings(
  defined: readonly FeatureGroup[],
  definedServices: readonly string[],
  registered: readonly RegisteredGroup[],
  registeredServices: readonly RegisteredService[],
): string[] {
  const ids = new Set(defined.map(({ id }) => id))
  const others = registered.filter(({ id, retiredAt }) => !ids.has(id) && retiredAt === null)
  const gone = registeredServices.filter(({ name }) => !definedServices.includes(name))
  return [
    ...duplicateFeatures(defined.map(namedFeatures), others.map(registeredFeatures)),
    ...others.map(
      ({ id }) =>
        `feature group ${id} is registered and not defined any more: its table is kept, and nothing computes it. \`asof retire ${id}\` says that this is meant.`,
    ),
    ...gone.map(
      ({ name }) =>
        `feature service ${name} is registered and not defined any more. \`asof retire ${name}\` says that this is meant.`,
    ),
  ]
}

function namedFeatures(group: FeatureGroup): NamedFeatures {
  const { id, name, owner } = group
  return { id, name, owner, featureFingerprints: featureFingerprints(group) }
}

function registeredFeatures({ id, definition, featureFingerprints }: RegisteredGroup): NamedFeatures {
  const { name, owner } = definition as { name?: string; owner?: string }
  return { id, name: name ?? id, owner: owner ?? 'nobody', featureFingerprints }
}
