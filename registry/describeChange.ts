/** What a definition changes against the registered one, in sentences, and what follows from it. */
import type { BoundGroup } from '../model/bound.ts'
import type { ChangeKind } from './changes.ts'
import { registrationOf, type JsonFields } from './definition.ts'
import { differences, isFields, type Difference } from './differences.ts'
import type { RegisteredGroup } from './registry.ts'

export type ChangeVerdict = 'new' | 'unchanged' | ChangeKind

export interface Change {
  readonly verdict: ChangeVerdict
  readonly sentences: readonly string[]
  /** Features that the table has no column for yet. */
  readonly added: readonly string[]
  /** Features whose published values no longer count. */
  readonly fixed: readonly string[]
}

/**
 * All but `breaking` may be registered under the same version.
 * @param registered null for a group that is not registered yet
 */
export function describeChange(registered: RegisteredGroup | null, bound: BoundGroup): Change {
  const { id } = bound.group
  if (registered === null) {
    const counted = `${bound.features.length} feature${bound.features.length === 1 ? '' : 's'}`
    const added = bound.features.map(({ name }) => name)
    return { verdict: 'new', sentences: [`feature group ${id} is new, with ${counted}.`], added, fixed: [] }
  }
  const next = registrationOf(bound, 0)
  const [before, after] = [fieldsOf(registered.definition), fieldsOf(next.definition)]
  const found = [
    ...differences(before, after),
    ...typeChanges('key', registered.keys, bound.keys),
    ...typeChanges('feature', registered.features, bound.features),
  ]
  const fixed = changedFeatures(registered.featureFingerprints, next.featureFingerprints)
  const silent = silentChanges(fixed, found)
  const reasons = fixReasons(before, after)
  const judged = [...found, ...silent].map((difference) => withFix(difference, reasons))
  const sentences = [...found, ...silent, ...orderChange(registered.features, bound.features)].map(
    ({ sentence }) => sentence,
  )
  const verdict = worst(judged, sentences.length > 0)
  const added = bound.features.map(({ name }) => name).filter((name) => !isThere(registered.features, name))
  const mayBeFix = !found.some(({ kind }) => kind === 'breaking')
  return { verdict, sentences: [...sentences, ...consequence(bound, verdict, mayBeFix)], added, fixed }
}

function fieldsOf(definition: unknown): JsonFields {
  return isFields(definition) ? definition : {}
}

const severities = ['cosmetic', 'additive', 'fix', 'breaking'] as const

function worst(kinds: readonly ChangeKind[], anyDifference: boolean): ChangeVerdict {
  const severity = Math.max(-1, ...kinds.map((kind) => severities.indexOf(kind)))
  return severities[severity] ?? (anyDifference ? 'cosmetic' : 'unchanged')
}

/** What a person does next, where that is not plain. */
function consequence({ group }: BoundGroup, verdict: ChangeVerdict, mayBeFix: boolean): string[] {
  if (verdict !== 'breaking') return []
  const version = `${group.id} has published results that this would change. Define it as version ${group.version + 1}; ${group.id} stays as it is.`
  const fix = `Where the meaning is the same and was computed wrongly, say so with fix: '<what was wrong>'.`
  return [mayBeFix ? `${version} ${fix}` : version]
}

function changedFeatures(
  before: RegisteredGroup['featureFingerprints'],
  after: RegisteredGroup['featureFingerprints'],
): string[] {
  return Object.keys(after).filter((name) => before[name] !== undefined && before[name] !== after[name])
}

/** Features that are computed otherwise though no field says so: by other code, or from a source by another name. */
function silentChanges(changed: readonly string[], found: readonly Difference[]): Difference[] {
  const meaningful = found.filter(({ kind }) => kind === 'fix' || kind === 'breaking')
  if (meaningful.some(({ path }) => path[0] !== 'features')) return []
  return changed
    .filter((name) => !meaningful.some(({ path }) => path[1] === name))
    .map((name) => ({
      path: ['features', name],
      kind: 'fix' as const,
      sentence: `feature ${name} is computed otherwise now: by other code, or from other sources.`,
    }))
}

interface FixReasons {
  /** The group says anew that what it changes is a fix. */
  readonly group: boolean
  /** So do these of its features. */
  readonly features: ReadonlySet<string>
}

/** A reason counts once, with the change that it was written for. */
function fixReasons(before: JsonFields, after: JsonFields): FixReasons {
  const isNew = (old: JsonFields, now: JsonFields) =>
    typeof now['fix'] === 'string' && old['fix'] !== now['fix']
  const [old, now] = [fieldsOf(before['features']), fieldsOf(after['features'])]
  const features = Object.keys(now).filter((name) => isNew(fieldsOf(old[name]), fieldsOf(now[name])))
  return { group: isNew(before, after), features: new Set(features) }
}

function withFix({ path, kind }: Difference, reasons: FixReasons): ChangeKind {
  if (kind !== 'fix' || reasons.group) return kind
  return path[0] === 'features' && reasons.features.has(path[1] ?? '') ? 'fix' : 'breaking'
}

type Typed = readonly { readonly name: string; readonly type: string }[]

const isThere = (features: Typed, name: string) => features.some((feature) => feature.name === name)

/** No engine turns the values of a published column into another type. */
function typeChanges(what: string, before: Typed, after: Typed): Difference[] {
  const types = new Map(before.map(({ name, type }) => [name, type]))
  return after.flatMap(({ name, type }): Difference[] => {
    const old = types.get(name)
    if (old === undefined || old === type) return []
    const sentence = `${what} ${name} had the type ${old} and has ${type} now.`
    return [{ path: [`${what}s`, name], kind: 'breaking', sentence }]
  })
}

function orderChange(before: Typed, after: Typed): { sentence: string }[] {
  const kept = (features: Typed, others: Typed) =>
    features.map(({ name }) => name).filter((name) => isThere(others, name))
  const [old, now] = [kept(before, after).join(', '), kept(after, before).join(', ')]
  return old === now
    ? []
    : [{ sentence: `the features stood in the order ${old} and stand in the order ${now} now.` }]
}
