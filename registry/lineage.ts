/** Lineage: from sources through a group to its features and the services that take them. */
import type { Json } from './canonicalJson.ts'
import { featuresNeededBy } from './describeService.ts'
import { isFields } from './differences.ts'
import type { RegisteredGroup, RegisteredService } from './registry.ts'

export interface Lineage {
  readonly sources: readonly {
    readonly name: string
    readonly description: string | null
    /** The column with the time of arrival; without one, history made from the source may have hindsight (rule 6). */
    readonly arrival: string | null
  }[]
  readonly group: string
  readonly entity: string
  readonly owner: string
  readonly features: readonly {
    readonly name: string
    readonly type: string
    readonly fingerprint: string
    /** Services that take the feature, or compute others from it. */
    readonly services: readonly string[]
  }[]
  readonly services: readonly string[]
}

export function lineageOf(group: RegisteredGroup, services: readonly RegisteredService[]): Lineage {
  const definition = isFields(group.definition) ? group.definition : {}
  const taken = services.map(({ name, definition: of }) => ({ name, takes: new Set(featuresNeededBy(of)) }))
  const takers = (feature: string) =>
    taken.filter(({ takes }) => takes.has(`${group.id}.${feature}`)).map(({ name }) => name)
  const features = group.features.map(({ name, type }) => ({
    name,
    type,
    fingerprint: group.featureFingerprints[name] ?? '',
    services: takers(name),
  }))
  return {
    sources: sourcesOf(definition['sources']),
    group: group.id,
    entity: isFields(definition['entity']) ? text(definition['entity']['name']) : '',
    owner: text(definition['owner']),
    features,
    services: [...new Set(features.flatMap((feature) => feature.services))].sort(),
  }
}

function sourcesOf(sources: Json | undefined): Lineage['sources'] {
  if (!isFields(sources)) return []
  return Object.entries(sources).map(([name, source]) => ({
    name,
    description: textOrNull(source, 'description'),
    arrival: textOrNull(source, 'arrival'),
  }))
}

function textOrNull(fields: Json, name: string): string | null {
  const value = isFields(fields) ? fields[name] : undefined
  return typeof value === 'string' ? value : null
}

const text = (value: Json | undefined) => (typeof value === 'string' ? value : '')
