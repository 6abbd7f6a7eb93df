/** Feature groups: a named, versioned set of features of one entity, computed from a source on a cadence. */
import { z } from 'zod'
import type { Entity } from './entity.ts'
import { InputError } from './errors.ts'
import { aggregates, type AggregateFeature } from './feature.ts'
import { gateKinds, gateName, type Gate } from './gate.ts'
import type { Source } from './source.ts'
import { durationMs, type Duration } from './time.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'

export interface FeatureGroup<Feature extends string = string> {
  readonly kind: 'feature_group'
  /** `<name>_v<version>`; also the name of the table. */
  readonly id: string
  readonly name: string
  readonly version: number
  readonly owner: string
  readonly description: string
  readonly entity: Entity
  readonly source: Source
  readonly every: Duration
  readonly availableAfter: Duration
  readonly lateness: Duration
  readonly ttl: Duration | null
  readonly online: boolean
  readonly allowPartialWindows: boolean
  readonly features: Readonly<Record<Feature, AggregateFeature>>
  readonly gates: readonly Gate[]
  /** Some of the group's features, for a service. */
  pick(...features: Feature[]): FeatureSelection
}

/** Features of one group, in the order in which a model takes them. */
export interface FeatureSelection {
  readonly group: FeatureGroup
  readonly features: readonly string[]
}

export interface FeatureGroupDefinition<Features extends Record<string, AggregateFeature>> {
  name: string
  version: number
  owner: string
  description: string
  entity: Entity
  source: Source
  /** The cadence: how long an interval is. Intervals are aligned to the Unix epoch in UTC. */
  every: Duration
  /** An interval is due this long after its end. */
  availableAfter?: Duration
  /** How far back a refresh re-reads late events. */
  lateness?: Duration
  /** How long a value may be used; none means for ever. */
  ttl?: Duration
  /** Load the newest values into the online store. */
  online?: boolean
  /** Compute intervals whose windows reach before the source is complete. */
  allowPartialWindows?: boolean
  features: Features
  gates?: readonly Gate<NoInfer<Extract<keyof Features, string>>>[]
}

/** Columns that every table has beside its keys and features. */
export const reservedColumns = ['event_timestamp', 'created_timestamp', 'run_id'] as const

const duration = z.string().superRefine((text, context) => {
  try {
    durationMs(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
})
const positiveDuration = duration.refine((text) => !/^0/.test(text), 'must be longer than nothing')

const feature = z.strictObject({
  kind: z.literal('aggregate'),
  aggregate: z.enum(aggregates),
  column: z.string().min(1).nullable(),
  condition: z.any(),
  where: z.any(),
  over: positiveDuration,
  description: z.string().optional(),
})

const gate = z.strictObject({
  gate: z.enum(gateKinds),
  feature: z.string().nullable(),
  params: z.record(z.string(), z.number()),
  onViolation: z.enum(['block', 'warn']),
})

const schema = z.strictObject({
  name: identifier,
  version: z.int().min(1, 'versions count from 1'),
  owner: z.string().min(1, 'say who owns the group'),
  description: z.string().min(1, 'say what the group describes'),
  entity: z.custom<Entity>((value) => (value as Entity | undefined)?.kind === 'entity', 'must be an entity'),
  source: z.custom<Source>((value) => (value as Source | undefined)?.kind === 'source', 'must be a source'),
  every: positiveDuration,
  availableAfter: duration.optional(),
  lateness: duration.optional(),
  ttl: positiveDuration.optional(),
  online: z.boolean().optional(),
  allowPartialWindows: z.boolean().optional(),
  features: z
    .record(identifier, feature)
    .refine((features) => Object.keys(features).length > 0, 'a group needs at least one feature'),
  gates: z.array(gate).optional(),
})

/**
 * Defines a feature group.
 *
 * @throws InputError that names the group, the feature and the cure.
 */
export function featureGroup<const Features extends Record<string, AggregateFeature>>(
  definition: FeatureGroupDefinition<Features>,
): FeatureGroup<Extract<keyof Features, string>> {
  const what = labelOf('feature group', definition)
  parseDefinition(schema, definition, what)
  const { entity, source, features } = definition
  const group: FeatureGroup<Extract<keyof Features, string>> = {
    kind: 'feature_group',
    id: `${definition.name}_v${definition.version}`,
    name: definition.name,
    version: definition.version,
    owner: definition.owner,
    description: definition.description,
    entity,
    source,
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
  checkNames(group, what)
  checkGates(group, what)
  checkTimes(group, what)
  return Object.freeze(group)
}

function unknownFeature(what: string, name: string, features: object): InputError {
  return new InputError(
    `${what}: there is no feature ${JSON.stringify(name)}. It has ${Object.keys(features).join(', ')}.`,
    { feature: name },
  )
}

function checkNames(group: FeatureGroup, what: string): void {
  const taken = new Set<string>([...reservedColumns, ...Object.keys(group.entity.keys)])
  for (const name of Object.keys(group.features)) {
    if (taken.has(name)) {
      throw new InputError(
        `${what}: feature ${name} has the name of a key or of a column that every table has (${reservedColumns.join(', ')}). Give it another name.`,
        { feature: name },
      )
    }
  }
  for (const key of Object.keys(group.entity.keys)) {
    if ((reservedColumns as readonly string[]).includes(key)) {
      throw new InputError(
        `${what}: key ${key} of entity ${group.entity.name} is a reserved name. Give it another one.`,
      )
    }
  }
}

function checkGates(group: FeatureGroup, what: string): void {
  const seen = new Set<string>()
  for (const one of group.gates) {
    const name = gateName(one)
    if (one.feature !== null && !Object.hasOwn(group.features, one.feature)) {
      throw new InputError(`gate ${name}: ${unknownFeature(what, one.feature, group.features).message}`)
    }
    const { min, max, last } = one.params
    if (min !== undefined && max !== undefined && !(min <= max)) {
      throw new InputError(`${what}: gate ${name}: min ${min} is not below max ${max}. Swap them.`)
    }
    if (one.gate === 'null_rate' && !(max !== undefined && max >= 0 && max <= 1)) {
      throw new InputError(`${what}: gate ${name}: max ${max} is not a share. Use a number from 0 to 1.`)
    }
    if (last !== undefined && !(Number.isInteger(last) && last >= 1)) {
      throw new InputError(
        `${what}: gate ${name}: last ${last} is not a number of intervals. Use a whole number from 1.`,
      )
    }
    if (seen.has(name)) throw new InputError(`${what}: gate ${name} is there twice. Keep one.`)
    seen.add(name)
  }
}

function checkTimes(group: FeatureGroup, what: string): void {
  const available = durationMs(group.availableAfter)
  if (group.ttl !== null && durationMs(group.ttl) < durationMs(group.every) + available) {
    throw new InputError(
      `${what}: ttl ${group.ttl} is shorter than the cadence ${group.every} plus availableAfter ${group.availableAfter}: values would be gone before the next ones come. Use a longer ttl.`,
    )
  }
  const { retention, name } = group.source
  for (const [featureName, { over }] of Object.entries(group.features)) {
    if (retention !== undefined && durationMs(over) + available > durationMs(retention)) {
      throw new InputError(
        `${what}: feature ${featureName}: a window of ${over} plus availableAfter ${group.availableAfter} reaches back further than source ${name} keeps events (${retention}). Use a shorter window.`,
        { feature: featureName },
      )
    }
  }
}
