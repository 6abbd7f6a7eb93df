/** Types of features that are declared, in the order of the definition. */
import { IntegrityError } from '../model/errors.ts'
import type { FeatureType } from '../model/featureType.ts'
import type { FeatureGroup, GroupFeature } from '../model/group.ts'

export function declaredTypes(group: FeatureGroup): { name: string; type: FeatureType }[] {
  return Object.entries<GroupFeature>(group.features).map(([name, feature]) => {
    if (feature.kind === 'declared') return { name, type: feature.type }
    throw new IntegrityError(
      `feature group ${group.id}: feature ${name} of a ${group.compute.kind} group is not declared.`,
    )
  })
}
