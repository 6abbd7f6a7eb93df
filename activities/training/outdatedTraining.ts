/** Whether a training set still is what the same request would be given: a fix or a retirement since says no. */
import { formatInstant } from '../../model/index.ts'
import { onDemandHash, type RegisteredGroup } from '../../registry/index.ts'
import type { ActivityDeps } from '../deps.ts'
import type { TrainingManifest } from './finishTraining.ts'

/** A sentence for everything that has another meaning now; none where the set is not outdated. */
export async function outdatedTraining(
  { registry, definitions }: Pick<ActivityDeps, 'registry' | 'definitions'>,
  { groups, onDemand }: Pick<TrainingManifest, 'groups' | 'onDemand'>,
): Promise<string[]> {
  const registered = new Map((await registry.groups()).map((group) => [group.id, group]))
  const sentences = [
    ...groups.flatMap((planned) => outdatedGroup(planned, registered.get(planned.pin.group))),
    ...onDemand.flatMap(({ name, hash }) => {
      const found = definitions.onDemand.get(name)
      if (found === undefined) return [`The on-demand features ${name} are not defined any more.`]
      return onDemandHash(found) === hash ? [] : [`The on-demand features ${name} have other code now.`]
    }),
  ]
  return [...new Set(sentences)]
}

function outdatedGroup(
  { pin, fingerprints }: TrainingManifest['groups'][number],
  registered: RegisteredGroup | undefined,
): string[] {
  if (registered === undefined) return [`Feature group ${pin.group} is not registered any more.`]
  const { retiredAt, featureFingerprints } = registered
  const retired =
    retiredAt === null ? [] : [`Feature group ${pin.group} was retired at ${formatInstant(retiredAt)}.`]
  const changed = Object.entries(fingerprints).filter(
    ([feature, planned]) => featureFingerprints[feature] !== planned,
  )
  return [
    ...retired,
    ...changed.map(([feature]) =>
      featureFingerprints[feature] === undefined
        ? `${pin.group}.${feature} is not registered any more.`
        : `${pin.group}.${feature} has another definition now.`,
    ),
  ]
}
