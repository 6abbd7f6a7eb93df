/** Groups computed by a SELECT per interval; also the way to take rows as they are, with their own times. */
import { z } from 'zod'
import type { InputsOf, ValuesOf } from './answers.ts'
import type { CreatedColumn } from './compute.ts'
import type { DeclaredFeature } from './declared.ts'
import { declaredFeature } from './declaredSchema.ts'
import { defineGroup, groupFields, sourceField } from './defineGroup.ts'
import type { KeyType } from './entity.ts'
import type { FeatureGroup, GroupDefinition } from './group.ts'
import type { Source } from './source.ts'
import { labelOf, parseDefinition } from './validate.ts'

export interface QueryGroupDefinition<
  Features extends Record<string, DeclaredFeature>,
  Keys extends Record<string, KeyType> = Record<string, KeyType>,
> extends GroupDefinition<Features, Keys> {
  sources: readonly Source[]
  /**
   * A SELECT over the sources by their names. It yields the keys, `event_timestamp` (inside the interval: after `$from`,
   * at most `$to`), the features and, where `created` names one, a column with created timestamps.
   */
  sql: string
  /** A column that counts where it is later than the interval's own created timestamp; or `asServed('column')`. */
  created?: string | CreatedColumn
}

const schema = z.strictObject({
  ...groupFields(declaredFeature),
  sources: z.array(sourceField).min(1, 'name the sources that the query reads'),
  sql: z.string().min(1, 'write the SELECT of an interval'),
  created: z
    .union([z.string().min(1), z.strictObject({ column: z.string().min(1), asServed: z.boolean() })])
    .optional(),
})

/**
 * Defines a query group.
 *
 * @example
 * queryGroup({ …, sources: [prices], features: { price: feature('float64') }, created: asServed('loaded_at'),
 *   sql: 'SELECT item, priced_at AS event_timestamp, loaded_at, price FROM prices WHERE priced_at > $from AND priced_at <= $to' })
 * @throws InputError that names the group, the field and the cure.
 */
export function queryGroup<
  const Features extends Record<string, DeclaredFeature>,
  const Keys extends Record<string, KeyType> = Record<string, KeyType>,
>(definition: QueryGroupDefinition<Features, Keys>): FeatureGroup<ValuesOf<Features>, InputsOf<Keys>> {
  const what = labelOf('feature group', definition)
  parseDefinition(schema, definition, what)
  const { sources, sql, created } = definition
  const compute = {
    kind: 'query' as const,
    sql,
    created: typeof created === 'string' ? { column: created, asServed: false } : (created ?? null),
  }
  return defineGroup(definition, { source: null, sources, compute }, what)
}
