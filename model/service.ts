/** Feature services: the features of one model, over several groups, for training and serving alike. */
import { InputError } from './errors.ts'
import type { FeatureSelection } from './group.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'
import { z } from 'zod'

export interface FeatureService {
  readonly kind: 'feature_service'
  readonly name: string
  readonly description?: string
  readonly features: readonly FeatureSelection[]
}

const schema = z.object({
  name: identifier,
  description: z.string().optional(),
  features: z.array(z.any()).min(1, 'a service needs at least one feature'),
})

/**
 * Defines a feature service.
 *
 * @example
 * featureService({ name: 'delay_model_v1', features: [airportDelays.pick('mean_delay_24h')] })
 */
export function featureService(definition: Omit<FeatureService, 'kind'>): FeatureService {
  const what = labelOf('feature service', definition)
  parseDefinition(schema, definition, what)
  const seen = new Set<string>()
  for (const { group, features } of definition.features) {
    for (const feature of features) {
      const name = `${group.id}.${feature}`
      if (seen.has(name)) throw new InputError(`${what}: ${name} is there twice. Keep one.`, { feature })
      seen.add(name)
    }
  }
  return Object.freeze({ kind: 'feature_service' as const, ...definition })
}
