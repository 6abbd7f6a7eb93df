/** Groups computed by a pure TypeScript function, for what SQL says badly. */
import { z } from 'zod'
import type { InputsOf, ValuesOf } from './answers.ts'
import type { MapFunction, MapInput } from './compute.ts'
import type { DeclaredFeature } from './declared.ts'
import { declaredFeature } from './declaredSchema.ts'
import { defineGroup, groupFields, positiveDuration, sourceField } from './defineGroup.ts'
import type { KeyType } from './entity.ts'
import type { FeatureGroup, GroupDefinition } from './group.ts'
import type { Source } from './source.ts'
import type { Duration } from './time.ts'
import { labelOf, parseDefinition } from './validate.ts'

export interface MapGroupDefinition<
  Features extends Record<string, DeclaredFeature>,
  Keys extends Record<string, KeyType> = Record<string, KeyType>,
> extends GroupDefinition<Features, Keys> {
  source: Source
  /** The window: the function sees the events `at - over <= time < at`. */
  over: Duration
  /** The columns of each event that the function sees. */
  columns: readonly string[]
  /** From an entity's events to its features; a feature that it leaves out is null. */
  map: (input: MapInput) => { readonly [Feature in NoInfer<Extract<keyof Features, string>>]?: unknown }
}

const schema = z.strictObject({
  ...groupFields(declaredFeature),
  source: sourceField,
  over: positiveDuration,
  columns: z.array(z.string().min(1)),
  map: z.custom<MapFunction>((value) => typeof value === 'function', 'must be a function'),
})

/**
 * Defines a map group.
 *
 * @example
 * mapGroup({ …, source: flights, over: '7d', columns: ['delay'], features: { streak_7d: feature('int32') },
 *   map: ({ events }) => ({ streak_7d: longestLateStreak(events) }) })
 * @throws InputError that names the group, the field and the cure.
 */
export function mapGroup<
  const Features extends Record<string, DeclaredFeature>,
  const Keys extends Record<string, KeyType> = Record<string, KeyType>,
>(definition: MapGroupDefinition<Features, Keys>): FeatureGroup<ValuesOf<Features>, InputsOf<Keys>> {
  const what = labelOf('feature group', definition)
  parseDefinition(schema, definition, what)
  const { source, over, columns, map } = definition
  return defineGroup(
    definition,
    { source, sources: [source], compute: { kind: 'map', over, columns, map, codeHash: null } },
    what,
  )
}
