/**
 * Fingerprints: a hash over everything that a result depends on, and over nothing else. Which fields those are stands in
 * one table (changes.ts).
 *
 * Durations and instants count by what they mean, so `24h` and `1d` are the same window. The order of keys counts (it
 * is the order in which composite keys are written), the order and the names of features do not: two features that
 * compute the same thing have the same fingerprint. Features of a query or a map are what the whole of it makes under
 * their name, so there the name counts.
 */
import { createHash } from 'node:crypto'
import { InputError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import type { Source } from '../model/source.ts'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { meaningOf } from './changes.ts'
import type { FeatureFingerprints } from './registry.ts'

/** Raised when the same definition comes to mean something else. */
const meaning = 'asof-2'

/** Hex of a SHA-256. @throws InputError where the group has no such feature. */
export function featureFingerprint(group: FeatureGroup, featureName: string): string {
  const feature = Object.hasOwn(group.features, featureName) ? group.features[featureName] : undefined
  if (feature === undefined) {
    throw new InputError(
      `feature group ${group.id}: there is no feature ${JSON.stringify(featureName)}. It has ${Object.keys(group.features).join(', ')}.`,
      { group: group.id, feature: featureName },
    )
  }
  const name = group.compute.kind === 'aggregate' ? undefined : featureName
  return hash({ rows: rowsOf(group), name, feature: meaningOf('feature', feature) })
}

/** The fingerprint of each feature, in the order of the definition. */
export function featureFingerprints(group: FeatureGroup): FeatureFingerprints {
  return Object.fromEntries(
    Object.keys(group.features).map((name) => [name, featureFingerprint(group, name)]),
  )
}

/**
 * Hex of a SHA-256 over the group's rows, the fingerprints of its features by name, and its buckets. Those change no
 * value, so features compute the same with and without them; but a worker must not write a table as another one lays it out.
 */
export function groupFingerprint(group: FeatureGroup): string {
  const buckets = group.buckets ?? undefined
  return hash({ rows: rowsOf(group), features: featureFingerprints(group), buckets })
}

/** Which rows there are, and from what they are computed. */
function rowsOf(group: FeatureGroup) {
  const { entity, sources, compute, every, availableAfter, allowPartialWindows } = group
  return {
    keys: Object.entries(entity.keys),
    // A query names its sources; aggregates and maps have one, whose name is prose.
    sources: compute.kind === 'query' ? namedMeanings(sources) : sources.map(sourceMeaning),
    // The aggregates themselves are the features.
    compute: compute.kind === 'aggregate' ? { kind: compute.kind } : meaningOf('compute', compute),
    ...meaningOf('group', { every, availableAfter, allowPartialWindows }),
  }
}

/** A source's meaning holds that of the sources that it is a query over. */
function sourceMeaning(source: Source): { readonly [field: string]: Json } {
  if (source.format !== 'sql') return meaningOf('source', source)
  const { sources, ...fields } = source
  return { ...meaningOf('source', fields), sources: namedMeanings(sources) }
}

/** SQL takes sources by their names, so their order says nothing. */
function namedMeanings(sources: readonly Source[]): { readonly [field: string]: Json }[] {
  return [...sources]
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map((source) => ({ name: source.name, ...sourceMeaning(source) }))
}

/** Hex of a SHA-256 over canonical JSON. */
export function hash(parts: object): string {
  return createHash('sha256')
    .update(canonicalJson({ meaning, ...parts }))
    .digest('hex')
}
