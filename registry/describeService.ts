/** What a service's definition changes. A service is the contract of a model: it may gain features, never lose or move one. */
import { canonicalJson, type Json } from './canonicalJson.ts'
import { kindOfField } from './changes.ts'
import type { JsonFields } from './definition.ts'
import type { ChangeVerdict } from './describeChange.ts'
import { isFields } from './differences.ts'
import { fieldsOf, onDemandMeaning, selectedFeatures, textOf } from './onDemandMeaning.ts'

export interface ServiceChange {
  readonly verdict: ChangeVerdict
  readonly sentences: readonly string[]
}

/** @param registered as the registry keeps it; null for a service that is not registered yet */
export function describeService(name: string, registered: unknown, next: Json): ServiceChange {
  if (registered === null) return { verdict: 'new', sentences: [`feature service ${name} is new.`] }
  const [before, after] = [contractOf(registered), contractOf(next)]
  const changes = [
    lostOrMoved(name, before.stored, after.stored, ''),
    lostOrMoved(name, [...before.onDemand.keys()], [...after.onDemand.keys()], 'the on-demand features '),
    ...changedOnDemand(name, before, after),
  ].filter((sentence) => sentence !== null)
  if (changes.length > 0) return { verdict: 'breaking', sentences: changes }
  const stored = after.stored.slice(before.stored.length)
  const onDemand = [...after.onDemand.keys()].slice(before.onDemand.size)
  const added = [
    ...(stored.length > 0 ? [`${stored.join(', ')} added at the end.`] : []),
    ...onDemand.map((one) => `on-demand features ${one} added at the end.${requestSentence(one, after)}`),
  ]
  const joined = joinSentences(registered, next)
  if (added.length > 0) {
    const verdict = kindOfField('service', stored.length > 0 ? 'features' : 'onDemand')
    return { verdict, sentences: [...added, ...joined] }
  }
  if (joined.length > 0) return { verdict: kindOfField('service', 'preJoined'), sentences: joined }
  const isSame = canonicalJson(registered) === canonicalJson(next)
  return isSame
    ? { verdict: 'unchanged', sentences: [] }
    : { verdict: kindOfField('service', 'description'), sentences: [proseSentence(registered, next)] }
}

/** What is served stays the same, only where it is read from does not. */
function joinSentences(before: unknown, after: Json): string[] {
  const [was, is] = [preJoinedGroups(before) !== null, preJoinedGroups(after) !== null]
  if (was === is) return []
  return [
    is
      ? 'pre-joined from now on: the next load of each group also fills its slot in one value per entity, which is read as one key.'
      : 'not pre-joined any more: the next load of each group takes its slot away.',
  ]
}

interface Contract {
  readonly stored: readonly string[]
  /** What each means to a model, by name, in their order. */
  readonly onDemand: ReadonlyMap<string, JsonFields>
}

function contractOf(definition: unknown): Contract {
  const { features, onDemand } = isFields(definition) ? definition : ({} as JsonFields)
  const meanings = fieldsOf(onDemand).map((one) => [textOf(one['name']), onDemandMeaning(one)] as const)
  return { stored: selectedFeatures(features), onDemand: new Map(meanings) }
}

function lostOrMoved(
  name: string,
  before: readonly string[],
  after: readonly string[],
  what: string,
): string | null {
  if (before.every((one, at) => after[at] === one)) return null
  return `feature service ${name} had ${what}${before.join(', ')} and has ${after.join(', ') || 'nothing'} now: a model that was trained on it would be served other inputs. Keep these in their order and add new ones at the end, or give the service another name.`
}

/** What a field is called in a sentence; a hash tells nobody anything. */
const fieldText = (field: string, before: Json | undefined, after: Json | undefined) =>
  field === 'codeHash'
    ? 'the code of the function, or what it imports, is another'
    : `${field} was ${canonicalJson(before)} and is ${canonicalJson(after)} now`

function changedOnDemand(name: string, before: Contract, after: Contract): string[] {
  return [...before.onDemand].flatMap(([one, old]) => {
    const now = after.onDemand.get(one)
    if (now === undefined) return []
    const changed = Object.keys(old)
      .filter((field) => canonicalJson(old[field]) !== canonicalJson(now[field]))
      .map((field) => fieldText(field, old[field], now[field]))
    return changed.length === 0
      ? []
      : [
          `feature service ${name}: on-demand features ${one} changed (${changed.join('; ')}): a model that was trained on them would be served other values. Give the service another name.`,
        ]
  })
}

/** Whoever asks the service from now on has to bring more. */
function requestSentence(name: string, { onDemand }: Contract): string {
  const request = onDemand.get(name)?.['request']
  const values = Object.entries(isFields(request) ? request : {})
  return values.length === 0
    ? ''
    : ` Requests bring ${values.map(([value, type]) => `${value} (${textOf(type)})`).join(', ')} for them.`
}

/** What is left where every meaning is the same. */
function proseSentence(before: unknown, after: Json): string {
  const [old, now] = [before, after].map((one) => (isFields(one) ? one['description'] : undefined))
  return old === now
    ? 'on-demand features changed in prose, in defaults or in the order of what they read.'
    : 'description changed.'
}

/** Ids of the groups whose values a registered service wants to have in one value per entity; null where it wants none. */
export function preJoinedGroups(definition: unknown): string[] | null {
  if (!isFields(definition) || definition['preJoined'] !== true) return null
  const reads = fieldsOf(definition['onDemand']).flatMap((one) => fieldsOf(one['reads']))
  const groups = [...fieldsOf(definition['features']), ...reads].map(({ group }) => textOf(group))
  return [...new Set(groups)]
}

/** `group.feature` of what the service takes and of what its functions read: it cannot do without them. */
export function featuresNeededBy(definition: unknown): string[] {
  if (!isFields(definition)) return []
  const reads = fieldsOf(definition['onDemand']).flatMap((one) => takenFeatures(one['reads']))
  return [...new Set([...takenFeatures(definition['features']), ...reads])]
}

const takenFeatures = (selections: Json | undefined) =>
  selectedFeatures(
    fieldsOf(selections).map(({ group, features }) => ({ group: group ?? null, features: features ?? null })),
  )
