/** What the three constructors of groups share: the schema of the common fields, and the finished value. */
import { z } from 'zod'
import { gateShape } from './checkGates.ts'
import { checkGroup } from './checkGroup.ts'
import type { Entity } from './entity.ts'
import type { FeatureGroup, GroupDefinition, GroupFeature } from './group.ts'
import { durationMs } from './time.ts'
import type { Source } from './source.ts'
import { unknownFeature } from './unknownFeature.ts'
import { identifier } from './validate.ts'

const duration = z.string().superRefine((text, context) => {
  try {
    durationMs(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
})
export const positiveDuration = duration.refine((text) => !/^0/.test(text), 'must be longer than nothing')

export const sourceField = z.custom<Source>(
  (value) => (value as Source | undefined)?.kind === 'source',
  'must be a source',
)

/** Fields of every group; `feature` is the schema of one of its features. */
export const groupFields = <Feature extends z.ZodType>(feature: Feature) => ({
  name: identifier,
  version: z.int().min(1, 'versions count from 1'),
  owner: z.string().min(1, 'say who owns the group'),
  description: z.string().min(1, 'say what the group describes'),
  fix: z.string().min(1, 'say what was wrong').optional(),
  entity: z.custom<Entity>((value) => (value as Entity | undefined)?.kind === 'entity', 'must be an entity'),
  every: positiveDuration,
  availableAfter: duration.optional(),
  lateness: duration.optional(),
  ttl: positiveDuration.optional(),
  online: z.boolean().optional(),
  allowPartialWindows: z.boolean().optional(),
  features: z
    .record(identifier, feature)
    .refine((features) => Object.keys(features).length > 0, 'a group needs at least one feature'),
  gates: z.array(gateShape).optional(),
})

/** @throws InputError that names the group, the feature and the cure. */
export function defineGroup<Features extends Record<string, GroupFeature>>(
  definition: GroupDefinition<Features>,
  computed: Pick<FeatureGroup, 'source' | 'sources' | 'compute'>,
  what: string,
): FeatureGroup<Extract<keyof Features, string>> {
  const { features } = definition
  const group: FeatureGroup<Extract<keyof Features, string>> = {
    kind: 'feature_group',
    id: `${definition.name}_v${definition.version}`,
    name: definition.name,
    version: definition.version,
    owner: definition.owner,
    description: definition.description,
    fix: definition.fix ?? null,
    entity: definition.entity,
    ...computed,
    every: definition.every,
    availableAfter: definition.availableAfter ?? '0s',
    lateness: definition.lateness ?? '0s',
    ttl: definition.ttl ?? null,
    online: definition.online ?? true,
    allowPartialWindows: definition.allowPartialWindows ?? false,
    features,
    gates: definition.gates ?? [],
    pick: (...names) => {
      for (const name of names) {
        if (!Object.hasOwn(features, name)) throw unknownFeature(what, name, features)
      }
      return { group, features: names }
    },
  }
  checkGroup(group, what)
  return Object.freeze(group)
}
