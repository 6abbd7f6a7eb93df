/** Features that compute the same thing under several names: the second team should find the first one. */
import type { FeatureFingerprints } from './registry.ts'

export interface NamedFeatures {
  readonly id: string
  /** Without the version: a new version of a group repeats what it keeps. */
  readonly name: string
  readonly owner: string
  readonly featureFingerprints: FeatureFingerprints
}

/** One sentence for each pair, for the groups that are looked at. */
export function duplicateFeatures(
  looked: readonly NamedFeatures[],
  others: readonly NamedFeatures[] = [],
): string[] {
  const firstByFingerprint = new Map<string, { group: NamedFeatures; feature: string }>()
  const note = (group: NamedFeatures, say: (sentence: string) => void) => {
    for (const [feature, fingerprint] of Object.entries(group.featureFingerprints)) {
      const first = firstByFingerprint.get(fingerprint)
      if (first === undefined) firstByFingerprint.set(fingerprint, { group, feature })
      else if (first.group.name !== group.name || first.group.id === group.id) {
        say(
          `feature ${group.id}.${feature} computes the same as ${first.group.id}.${first.feature} of ${first.group.owner}. Use that one, or agree on one of them.`,
        )
      }
    }
  }
  const sentences: string[] = []
  for (const group of others) note(group, () => undefined)
  for (const group of looked) note(group, (sentence) => sentences.push(sentence))
  return sentences
}
