/** One call of a map group's function, over an entity's events in a window. */
import type { BoundGroup } from '../model/bound.ts'
import type { MapInput } from '../model/compute.ts'
import type { FunctionValue } from '../model/functionValue.ts'
import { formatInstant } from '../model/time.ts'
import { callFunction, shown } from '../model/callFunction.ts'
import { mapOf } from './mapEvents.ts'

/**
 * The values of the features, in the order of the definition. The input is frozen.
 *
 * @throws InputError that names the group, the entity and the interval for what the function throws, and the feature and
 * the value for one that is not of its type.
 */
export function runMap({ group, features }: BoundGroup, input: MapInput): FunctionValue[] {
  return callFunction({
    features,
    call: () => mapOf(group).map(Object.freeze({ ...input, events: Object.freeze([...input.events]) })),
    where: () =>
      `feature group ${group.id}: the function for ${shown(input.key)} at ${formatInstant(input.at)}`,
    context: () => ({ group: group.id, entity: shown(input.key) }),
  })
}
