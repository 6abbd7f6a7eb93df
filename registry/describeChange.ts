/** What a definition changes against the registered one, in sentences, and what follows from it. */
import type { BoundGroup } from '../model/bound.ts'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { registrationOf } from './definition.ts'
import type { RegisteredGroup } from './registry.ts'

export type ChangeVerdict = 'new' | 'unchanged' | 'cosmetic' | 'breaking'

export interface Change {
  readonly verdict: ChangeVerdict
  readonly sentences: readonly string[]
}

type Fields = { readonly [field: string]: Json }

/**
 * `cosmetic` changes no result and may be registered under the same version; `breaking` needs a new one.
 * @param registered null for a group that is not registered yet
 */
export function describeChange(registered: RegisteredGroup | null, bound: BoundGroup): Change {
  const { id, name, version } = bound.group
  const next = registrationOf(bound, 0)
  if (registered === null) {
    const counted = `${bound.features.length} feature${bound.features.length === 1 ? '' : 's'}`
    return { verdict: 'new', sentences: [`feature group ${id} is new, with ${counted}.`] }
  }
  const types = [
    ...typeChanges('key', registered.keys, bound.keys),
    ...typeChanges('feature', registered.features, bound.features),
  ]
  const sentences = [
    ...differences('', fieldsOf(registered.definition), fieldsOf(next.definition)),
    ...types,
    ...orderChange(registered.features, bound.features),
  ]
  if (registered.fingerprint !== next.fingerprint || types.length > 0) {
    const cure = `${id} has published results that this would change. Define it as version ${version + 1}; ${name}_v${version} stays as it is.`
    return { verdict: 'breaking', sentences: [...sentences, cure] }
  }
  return { verdict: sentences.length > 0 ? 'cosmetic' : 'unchanged', sentences }
}

function fieldsOf(definition: unknown): Fields {
  return isFields(definition) ? definition : {}
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** One sentence a leaf; what was added or removed is one sentence, however deep it is. */
function differences(path: string, before: Fields, after: Fields): string[] {
  const names = [...Object.keys(before), ...Object.keys(after).filter((name) => !Object.hasOwn(before, name))]
  return names.flatMap((name) => {
    const at = placed(path, name)
    const [old, now] = [before[name], after[name]]
    if (now === undefined) return [`${at} was removed (it was ${canonicalJson(old)}).`]
    if (old === undefined) return [`${at} was added: ${canonicalJson(now)}.`]
    if (isFields(old) && isFields(now)) return differences(at, old, now)
    const [oldText, nowText] = [canonicalJson(old), canonicalJson(now)]
    return oldText === nowText ? [] : [`${at} was ${oldText} and is ${nowText} now.`]
  })
}

function placed(path: string, name: string): string {
  if (path === 'features') return `feature ${name}`
  if (path === 'gates') return `gate ${name}`
  return path === '' ? name : `${path}.${name}`
}

type Typed = readonly { readonly name: string; readonly type: string }[]

function typeChanges(what: string, before: Typed, after: Typed): string[] {
  const types = new Map(before.map(({ name, type }) => [name, type]))
  return after.flatMap(({ name, type }) => {
    const old = types.get(name)
    return old === undefined || old === type
      ? []
      : [`${what} ${name} had the type ${old} and has ${type} now.`]
  })
}

function orderChange(before: Typed, after: Typed): string[] {
  const kept = (features: Typed, others: Typed) =>
    features.map(({ name }) => name).filter((name) => others.some((other) => other.name === name))
  const [old, now] = [kept(before, after).join(', '), kept(after, before).join(', ')]
  return old === now ? [] : [`the features stood in the order ${old} and stand in the order ${now} now.`]
}
