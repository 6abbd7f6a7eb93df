/** What differs between two training sets, from their manifests alone: where they come from, and what came of it. */
import { formatInstant } from '../../model/index.ts'
import { canonicalJson } from '../../registry/index.ts'
import type { ManifestGroup, TrainingManifest } from './finishTraining.ts'

/** In the order in which one explains the next. */
export const trainingAspects = ['pins', 'definitions', 'labels', 'distributions', 'content'] as const

export interface TrainingDifference {
  readonly aspect: (typeof trainingAspects)[number]
  readonly what: string
  /** Of the first and of the second set; null where it has none. */
  readonly before: Fact
  readonly after: Fact
}

type Fact = string | number | boolean | null
type Facts = ReadonlyMap<string, Fact>

/** None where the sets say the same of themselves, however they were made. */
export function diffTraining(before: TrainingManifest, after: TrainingManifest): TrainingDifference[] {
  return trainingAspects.flatMap((aspect) => {
    const [left, right] = [factsOf[aspect](before), factsOf[aspect](after)]
    const names = new Set([...left.keys(), ...right.keys()])
    return [...names].flatMap((what): TrainingDifference[] => {
      const [was, is] = [left.get(what) ?? null, right.get(what) ?? null]
      return was === is ? [] : [{ aspect, what, before: was, after: is }]
    })
  })
}

const factsOf: Readonly<Record<TrainingDifference['aspect'], (manifest: TrainingManifest) => Facts>> = {
  pins: ({ groups }) => new Map(groups.flatMap(pinFacts)),
  definitions: ({ groups, onDemand, knowledgeCutoff }) =>
    new Map<string, Fact>([
      ...groups.flatMap(definitionFacts),
      ...onDemand.flatMap(({ name, hash, request }): [string, Fact][] => [
        [`${name}: code`, hash],
        [`${name}: columns`, canonicalJson(request)],
      ]),
      ['knowledge cutoff', knowledgeCutoff],
    ]),
  labels: ({ labels: { contentHash, rows, timeColumn, range } }) =>
    new Map<string, Fact>([
      ['rows', rows],
      ['content hash', contentHash],
      ['time column', timeColumn],
      ['first', range && instant(range.from)],
      ['last', range && instant(range.to)],
    ]),
  distributions: ({ columns, groups }) =>
    new Map<string, Fact>([
      ...columns.flatMap(({ name, type, nullRate, min, max }): [string, Fact][] => [
        [`${name}: type`, type],
        [`${name}: null rate`, nullRate],
        [`${name}: min`, min],
        [`${name}: max`, max],
      ]),
      ...groups.map(({ name, matchRate }): [string, Fact] => [`${name}: match rate`, matchRate]),
    ]),
  content: ({ contentHash, rows, hindsight }) =>
    new Map<string, Fact>([
      ['rows', rows],
      ['content hash', contentHash],
      ['hindsight', hindsight],
    ]),
}

function pinFacts({ name, pin }: ManifestGroup): [string, Fact][] {
  return [
    [`${name}: group`, pin.group],
    [`${name}: snapshot`, pin.snapshotId],
    [`${name}: incarnation of the table`, pin.incarnation],
    ...Object.entries(pin.moments).map(([run, moment]): [string, Fact] => [
      `${name}: run ${run} known from`,
      moment === null ? 'not yet' : instant(moment),
    ]),
  ]
}

function definitionFacts({ name, features, fingerprints, ttlMs, keys }: ManifestGroup): [string, Fact][] {
  return [
    ...features.flatMap(({ name: feature, default: given }): [string, Fact][] => [
      [`${name}.${feature}: fingerprint`, fingerprints[feature] ?? null],
      [`${name}.${feature}: default`, given === null ? null : canonicalJson(given)],
    ]),
    [`${name}: ttl in ms`, ttlMs],
    [`${name}: keys`, keys.map((key) => `${key.name}=${key.column}`).join(', ')],
  ]
}

/** Microseconds since the epoch, as people read them. */
function instant(micros: string): string {
  const value = BigInt(micros)
  const below = ((value % 1000n) + 1000n) % 1000n
  const text = formatInstant(Number((value - below) / 1000n))
  return below === 0n ? text : `${text} and ${below} µs`
}
