/**
 * A group bound to its data: what registration learns from the source, and what every later step relies on.
 *
 * A definition does not say the types of a source's columns; DuckDB's binder does, when the group is registered. From
 * then on the types of keys and features are part of the group: a source whose column changes so that one of them would
 * change fails the next run. A column that becomes wider or narrower without that (a sum over int32 or int64 is int64)
 * gives the same features of the same values, and passes.
 */
import type { KeyType } from './entity.ts'
import type { FeatureDefault, FeatureType } from './feature.ts'
import { defaultValue } from './featureDefault.ts'
import type { FeatureGroup } from './group.ts'

export interface BoundGroup {
  readonly group: FeatureGroup
  readonly keys: readonly { readonly name: string; readonly type: KeyType }[]
  /** In the order of the definition. */
  readonly features: readonly { readonly name: string; readonly type: FeatureType }[]
}

/** A table's columns in order: keys, `event_timestamp`, `created_timestamp`, `run_id`, features. */
export function tableColumns({
  keys,
  features,
}: BoundGroup): { name: string; type: FeatureType; required: boolean }[] {
  return [
    ...keys.map(({ name, type }) => ({ name, type, required: true })),
    { name: 'event_timestamp', type: 'timestamp', required: true },
    { name: 'created_timestamp', type: 'timestamp', required: false },
    { name: 'run_id', type: 'string', required: true },
    ...features.map(({ name, type }) => ({ name, type, required: false })),
  ]
}

/**
 * The defaults of a group's features by name, as values of their types.
 *
 * @throws InputError that names the group, the feature, the value and the cure
 */
export function defaultsOf({ group, features }: BoundGroup): Readonly<Record<string, FeatureDefault>> {
  return Object.fromEntries(
    features.flatMap(({ name, type }) => {
      const given = group.features[name]?.default
      const what = `feature group ${group.id}: feature ${name}`
      return given === undefined ? [] : [[name, defaultValue(type, given, what)]]
    }),
  )
}
