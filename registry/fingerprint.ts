/**
 * Fingerprints: a hash over everything that a result depends on, and over nothing else.
 *
 * Durations and instants count by what they mean, so `24h` and `1d` are the same window. The order of keys counts (it
 * is the order in which composite keys are written), the order and the names of features do not: two features that
 * compute the same thing have the same fingerprint.
 */
import { createHash } from 'node:crypto'
import { InputError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import { durationMs, parseInstant } from '../model/time.ts'
import { canonicalJson } from './canonicalJson.ts'

/** Raised when the same definition comes to mean something else. */
const meaning = 'asof-1'

/** Hex of a SHA-256. @throws InputError where the group has no such feature. */
export function featureFingerprint(group: FeatureGroup, featureName: string): string {
  const feature = Object.hasOwn(group.features, featureName) ? group.features[featureName] : undefined
  if (feature === undefined) {
    throw new InputError(
      `feature group ${group.id}: there is no feature ${JSON.stringify(featureName)}. It has ${Object.keys(group.features).join(', ')}.`,
      { group: group.id, feature: featureName },
    )
  }
  const { aggregate, column, condition, where, over } = feature
  return hash({ rows: rowsOf(group), aggregate, column, condition, where, over: durationMs(over) })
}

/** Hex of a SHA-256 over the group's rows and the fingerprints of its features by name. */
export function groupFingerprint(group: FeatureGroup): string {
  const features = Object.keys(group.features).map((name) => [name, featureFingerprint(group, name)])
  return hash({ rows: rowsOf(group), features: Object.fromEntries(features) as Record<string, string> })
}

/** Which rows there are, and from what they are computed. */
function rowsOf({ entity, source, every, availableAfter, allowPartialWindows }: FeatureGroup) {
  const { format, path, timestamp, timeZone, completeFrom } = source
  return {
    keys: Object.entries(entity.keys),
    source: {
      format,
      path,
      timestamp,
      timeZone,
      completeFrom: completeFrom === undefined ? undefined : parseInstant(completeFrom),
    },
    every: durationMs(every),
    availableAfter: durationMs(availableAfter),
    allowPartialWindows,
  }
}

function hash(parts: object): string {
  return createHash('sha256')
    .update(canonicalJson({ meaning, ...parts }))
    .digest('hex')
}
