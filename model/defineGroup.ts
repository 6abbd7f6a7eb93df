/** What the three constructors of groups share: the schema of the common fields, and the finished value. */
import { z } from 'zod'
import { gateShape } from './checkGates.ts'
import { checkGroup } from './checkGroup.ts'
import type { AnyValues } from './answers.ts'
import type { Entity } from './entity.ts'
import { InputError } from './errors.ts'
import type { FeatureGroup, GroupDefinition, GroupFeature, RoleSelection } from './group.ts'
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
  buckets: z
    .strictObject({
      key: identifier,
      count: z
        .int('must be a whole number')
        .min(2, 'one bucket is none: take 2 or more')
        .max(1024, 'every day has so many files: take at most 1024'),
    })
    .optional(),
  features: z
    .record(identifier, feature)
    .refine((features) => Object.keys(features).length > 0, 'a group needs at least one feature'),
  gates: z.array(gateShape).optional(),
})

/**
 * The group, of whatever values and inputs its definition says: those are types alone, so whoever calls names them.
 *
 * @throws InputError that names the group, the feature and the cure.
 */
export function defineGroup(
  definition: GroupDefinition<Record<string, GroupFeature>>,
  computed: Pick<FeatureGroup, 'source' | 'sources' | 'compute'>,
  what: string,
): FeatureGroup<never, never> {
  const { features } = definition
  const group: FeatureGroup = {
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
    buckets: definition.buckets ?? null,
    features,
    gates: definition.gates ?? [],
    pick: (...names) => {
      for (const name of names) {
        if (!Object.hasOwn(features, name)) throw unknownFeature(what, name, features)
      }
      return { group, features: names }
    },
    as: (role, keys) => roleOf(group, role, keys, what),
  }
  checkGroup(group, what)
  return Object.freeze(group) as FeatureGroup<never, never>
}

function roleOf<Role extends string>(
  group: FeatureGroup,
  role: Role,
  given: Partial<Record<string, string>>,
  what: string,
): RoleSelection<Role, AnyValues, never> {
  if (!identifier.safeParse(role).success) {
    throw new InputError(`${what}: as(${JSON.stringify(role)}): a role is a name such as 'destination'.`, {
      role,
    })
  }
  const own = Object.keys(group.entity.keys)
  for (const [key, column] of Object.entries(given)) {
    if (!own.includes(key)) {
      throw new InputError(
        `${what}: as('${role}'): ${key} is no key of ${group.entity.name}, which has ${own.join(', ')}.`,
        { role, key },
      )
    }
    if (typeof column !== 'string' || column === '') {
      throw new InputError(`${what}: as('${role}'): name the column in which ${key} stands.`, { role, key })
    }
  }
  const keys = { ...given } as Record<string, string>
  return {
    ...{ group, features: Object.keys(group.features), role, keys },
    pick: (...names) => ({ group, features: group.pick(...names).features, role, keys }),
  }
}
