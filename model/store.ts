/** A store's definitions: everything that a definitions module exports, checked as a whole. */
import { InputError } from './errors.ts'
import type { FeatureGroup } from './group.ts'
import type { Source } from './source.ts'
import type { OnDemand } from './onDemand.ts'
import type { FeatureService } from './service.ts'

export interface Definitions {
  readonly groups: ReadonlyMap<string, FeatureGroup>
  readonly services: ReadonlyMap<string, FeatureService>
  /** By name, whether exported or used by a service alone. */
  readonly onDemand: ReadonlyMap<string, OnDemand>
}

const kindOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined

/**
 * Gathers groups, services and on-demand features from a module's exports; arrays of them are looked into, and services
 * for the on-demand features that they use.
 */
export function collectDefinitions(exports: Readonly<Record<string, unknown>>): Definitions {
  const groups = new Map<string, FeatureGroup>()
  const services = new Map<string, FeatureService>()
  const onDemand = new Map<string, OnDemand>()
  const visit = (value: unknown): void => {
    const kind = kindOf(value)
    if (kind === 'feature_group')
      add(groups, (value as FeatureGroup).id, value as FeatureGroup, 'feature group')
    else if (kind === 'feature_service') {
      const service = value as FeatureService
      add(services, service.name, service, 'feature service')
      service.onDemand?.forEach(visit)
    } else if (kind === 'on_demand')
      add(onDemand, (value as OnDemand).name, value as OnDemand, 'on-demand definition')
    else if (Array.isArray(value)) value.forEach(visit)
  }
  Object.values(exports).forEach(visit)
  checkSameName(
    [...groups.values()].map((group) => group.entity),
    'entity',
  )
  checkSameName(
    [...groups.values()].flatMap((group) => sourcesBelow(group.sources)),
    'source',
  )
  return { groups, services, onDemand }
}

function add<T>(into: Map<string, T>, id: string, value: T, what: string): void {
  const there = into.get(id)
  if (there !== undefined && there !== value) {
    throw new InputError(`${what} ${id} is defined twice. Give one of them another name or version.`, { id })
  }
  into.set(id, value)
}

/** Sources and those that they are made of. */
const sourcesBelow = (sources: readonly Source[]): Source[] =>
  sources.flatMap((source) =>
    source.format === 'sql' ? [source, ...sourcesBelow(source.sources)] : [source],
  )

/** One name means one thing: two entities or sources of the same name must be the same definition. */
function checkSameName(things: readonly { name: string }[], what: string): void {
  const seen = new Map<string, string>()
  for (const thing of things) {
    const text = JSON.stringify(thing)
    const there = seen.get(thing.name)
    if (there !== undefined && there !== text) {
      throw new InputError(
        `${what} ${thing.name} is defined twice, differently. Give one of them another name.`,
      )
    }
    seen.set(thing.name, text)
  }
}
