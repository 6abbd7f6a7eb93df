/** Groups of windowed aggregates over the events of one source. */
import { z } from 'zod'
import { defineGroup, groupFields, sourceField } from './defineGroup.ts'
import type { InputsOf, ValuesOf } from './answers.ts'
import type { AggregateFeature } from './feature.ts'
import { aggregateFeature } from './featureSchema.ts'
import type { KeyType } from './entity.ts'
import type { FeatureGroup, GroupDefinition } from './group.ts'
import type { Source } from './source.ts'
import { labelOf, parseDefinition } from './validate.ts'

export interface FeatureGroupDefinition<
  Features extends Record<string, AggregateFeature>,
  Keys extends Record<string, KeyType> = Record<string, KeyType>,
> extends GroupDefinition<Features, Keys> {
  source: Source
}

const schema = z.strictObject({ ...groupFields(aggregateFeature), source: sourceField })

/**
 * Defines a feature group of aggregates.
 *
 * @throws InputError that names the group, the feature and the cure.
 */
export function featureGroup<
  const Features extends Record<string, AggregateFeature>,
  const Keys extends Record<string, KeyType> = Record<string, KeyType>,
>(definition: FeatureGroupDefinition<Features, Keys>): FeatureGroup<ValuesOf<Features>, InputsOf<Keys>> {
  const what = labelOf('feature group', definition)
  parseDefinition(schema, definition, what)
  const { source, features } = definition
  return defineGroup(
    definition,
    { source, sources: [source], compute: { kind: 'aggregate', features } },
    what,
  )
}
