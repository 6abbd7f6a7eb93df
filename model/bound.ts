/**
 * A group bound to its data: what registration learns from the source, and what every later step relies on.
 *
 * A definition does not say the types of a source's columns; DuckDB's binder does, when the group is registered. From
 * then on the types are part of the group: a source whose column changes its type fails the next run.
 */
import type { KeyType } from './entity.ts'
import type { FeatureType } from './feature.ts'
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
