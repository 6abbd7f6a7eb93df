/** Refuses gates that cannot check what they are put on, when the group is registered and its types are known. */
import type { BoundGroup } from '../model/bound.ts'
import { InputError } from '../model/errors.ts'
import { featuresOfGate, gateName } from '../model/gate.ts'
import { qualityGateOf } from './gates.ts'

/** @throws InputError that names the group, the gate, the feature's type and the cure. */
export function checkGatesFitTypes({ group, features }: BoundGroup): void {
  const types = new Map(features.map(({ name, type }) => [name, type]))
  for (const gate of group.gates) {
    for (const feature of featuresOfGate(gate)) {
      const type = types.get(feature)
      const reason = type === undefined ? null : qualityGateOf(gate).refuses(type, gate, feature)
      if (reason === null) continue
      throw new InputError(
        `feature group ${group.id}: gate ${gateName(gate)} cannot check feature ${feature}: ${reason}. Take the gate away or put it on another feature.`,
        { group: group.id, gate: gateName(gate), feature, type: type ?? null },
      )
    }
  }
}
