/** Where two definitions differ, field by field, with the kind of each difference (changes.ts). */
import { canonicalJson, type Json } from './canonicalJson.ts'
import { kindOfField, meaningOfField, type ChangeKind } from './changes.ts'
import type { JsonFields } from './definition.ts'

export interface Difference {
  readonly path: readonly string[]
  readonly kind: ChangeKind
  readonly sentence: string
}

/** One for each leaf; what was added or removed is one difference, however deep it is. */
export function differences(before: JsonFields, after: JsonFields): Difference[] {
  return differencesBelow([], before, after)
}

export function isFields(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function differencesBelow(above: readonly string[], before: JsonFields, after: JsonFields): Difference[] {
  const names = [...Object.keys(before), ...Object.keys(after).filter((name) => !Object.hasOwn(before, name))]
  return names.flatMap((name): Difference[] => {
    const path = [...above, name]
    const [old, now] = [before[name], after[name]]
    const said = (sentence: string): Difference[] => [
      { path, kind: kindOf(path, old, now), sentence: `${placed(path)} ${sentence}` },
    ]
    if (now === undefined) return said(`was removed (it was ${canonicalJson(old)}).`)
    if (old === undefined) return said(`was added: ${canonicalJson(now)}.`)
    if (isFields(old) && isFields(now)) return differencesBelow(path, old, now)
    const [oldText, nowText] = [canonicalJson(old), canonicalJson(now)]
    if (oldText === nowText) return []
    // A hash tells nobody anything.
    if (name === 'codeHash') return said('changed: the code of the function, or what it imports, is another.')
    return said(`was ${oldText} and is ${nowText} now.`)
  })
}

function placed(path: readonly string[]): string {
  const [first, second, ...rest] = path
  const thing = { features: 'feature', gates: 'gate', sources: 'source' }[first ?? '']
  return thing === undefined || second === undefined
    ? path.join('.')
    : [`${thing} ${second}`, ...rest].join('.')
}

const meaningText = (field: string, value: Json | undefined) =>
  canonicalJson({ meaning: meaningOfField(field, value) })

function kindOf(path: readonly string[], old: Json | undefined, now: Json | undefined): ChangeKind {
  const [first = '', second, third] = path
  const field = path.at(-1) ?? ''
  if (meaningText(field, old) === meaningText(field, now)) return 'cosmetic'
  switch (first) {
    case 'features':
      if (third !== undefined) return kindOfField('feature', third)
      return old === undefined ? 'additive' : 'breaking'
    case 'gates':
      return 'cosmetic'
    // A source that comes under another name is told; whether it means the same its fingerprint says.
    case 'sources':
      return third === undefined ? 'cosmetic' : kindOfSource(path.slice(2))
    case 'entity':
      return kindOfField('entity', second ?? '')
    case 'compute':
      return kindOfField('compute', second ?? '')
    default:
      return kindOfField('group', first)
  }
}

/** Below a source; one that is made of others holds them by the names that its query gives them. */
function kindOfSource([field = '', inner, ...rest]: readonly string[]): ChangeKind {
  if (field !== 'sources' || inner === undefined || rest.length === 0) return kindOfField('source', field)
  return kindOfSource(rest)
}
