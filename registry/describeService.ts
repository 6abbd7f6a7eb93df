/** What a service's definition changes. A service is the contract of a model: it may gain features, never lose or move one. */
import { canonicalJson, type Json } from './canonicalJson.ts'
import { kindOfField } from './changes.ts'
import { isFields } from './differences.ts'
import type { ChangeVerdict } from './describeChange.ts'

export interface ServiceChange {
  readonly verdict: ChangeVerdict
  readonly sentences: readonly string[]
}

/** @param registered as the registry keeps it; null for a service that is not registered yet */
export function describeService(name: string, registered: unknown, next: Json): ServiceChange {
  if (registered === null) return { verdict: 'new', sentences: [`feature service ${name} is new.`] }
  const [before, after] = [featuresOfService(registered), featuresOfService(next)]
  const kept = before.filter((feature, at) => after[at] === feature)
  if (kept.length < before.length) {
    return {
      verdict: 'breaking',
      sentences: [
        `feature service ${name} had ${before.join(', ')} and has ${after.join(', ') || 'nothing'} now: a model that was trained on it would be served other inputs. Keep these in their order and add new ones at the end, or give the service another name.`,
      ],
    }
  }
  if (after.length > before.length) {
    const added = after.slice(before.length).join(', ')
    return { verdict: kindOfField('service', 'features'), sentences: [`${added} added at the end.`] }
  }
  const isSame = canonicalJson(registered) === canonicalJson(next)
  return isSame
    ? { verdict: 'unchanged', sentences: [] }
    : { verdict: kindOfField('service', 'description'), sentences: ['description changed.'] }
}

/** `group.feature`, in the order in which the model takes them. */
export function featuresOfService(definition: unknown): string[] {
  const selections: unknown = isFields(definition) ? definition['features'] : []
  if (!Array.isArray(selections)) return []
  return selections.flatMap((selection: unknown) => {
    if (!isFields(selection)) return []
    const { group, features } = selection
    return typeof group === 'string' && Array.isArray(features)
      ? features.map((feature) => `${group}.${String(feature)}`)
      : []
  })
}
