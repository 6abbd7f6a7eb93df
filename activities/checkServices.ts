/**
 * What services compute on demand, checked before anything is registered: their functions are pure and cope with values
 * of the types that they read.
 */
import {
  InputError,
  parseFeatureType,
  type BoundGroup,
  type FeatureService,
  type OnDemand,
} from '../model/index.ts'
import { checkOnDemandPurity } from '../offline/index.ts'
import type { RegisteredGroup } from '../registry/index.ts'

/**
 * @param defined the groups of the definitions, with the types that their sources give them
 * @param registered groups that others may have defined
 * @throws InputError for a group that nobody knows, and as the purity check does
 */
export function checkServices(
  services: Iterable<FeatureService>,
  defined: readonly BoundGroup[],
  registered: readonly RegisteredGroup[],
): void {
  const there = registered.filter(({ retiredAt }) => retiredAt === null)
  const types = new Map(
    [...there, ...defined.map(({ group, features }) => ({ id: group.id, features }))].flatMap(
      ({ id, features }) =>
        features.map(({ name, type }) => [`${id}.${name}`, parseFeatureType(type)] as const),
    ),
  )
  const checked = new Set<OnDemand>()
  for (const service of services) {
    for (const onDemand of service.onDemand ?? []) {
      if (checked.has(onDemand)) continue
      checked.add(onDemand)
      checkOnDemandPurity(onDemand, ({ group }, feature) => {
        const type = types.get(`${group.id}.${feature}`)
        if (type !== undefined && type !== null) return type
        throw new InputError(
          `feature service ${service.name}: on-demand features ${onDemand.name} read ${group.id}.${feature}, and feature group ${group.id} is neither defined nor registered with it. Export the group from your definitions.`,
          { service: service.name, group: group.id, feature },
        )
      })
    }
  }
}
