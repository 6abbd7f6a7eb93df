/** What a service's vectors hold, column by column, as the registry keeps the service. */
import { isFields } from './differences.ts'
import { fieldsOf, textOf } from './onDemandMeaning.ts'

export interface ServiceColumn {
  /** What it is called in a vector. */
  readonly name: string
  readonly from:
    | { readonly kind: 'stored'; readonly group: string; readonly feature: string }
    | { readonly kind: 'on_demand'; readonly onDemand: string; readonly type: string }
}

/** Stored features first, in the order in which the model takes them. */
export function serviceColumns(definition: unknown): ServiceColumn[] {
  if (!isFields(definition)) return []
  const stored = fieldsOf(definition['features']).flatMap(({ group, features, role }) =>
    (Array.isArray(features) ? features.map(textOf) : []).map((feature): ServiceColumn => {
      const name = typeof role === 'string' ? `${role}__${feature}` : feature
      return { name, from: { kind: 'stored', group: textOf(group), feature } }
    }),
  )
  const made = fieldsOf(definition['onDemand']).flatMap(({ name: onDemand, features }) =>
    fieldsOf(features).map(({ name, type }): ServiceColumn => ({
      name: textOf(name),
      from: { kind: 'on_demand', onDemand: textOf(onDemand), type: textOf(type) },
    })),
  )
  return [...stored, ...made]
}
