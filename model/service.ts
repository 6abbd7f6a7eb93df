/** Feature services: the features of one model, over several groups, for training and serving alike. */
import { z } from 'zod'
import type { AnyInputs, AnyValues, Answering, InputsIn, Together, ValuesIn } from './answers.ts'
import { checkService } from './checkService.ts'
import type { FeatureSelection } from './group.ts'
import type { OnDemand } from './onDemand.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'

/** What a model is given by name, and the columns that it is looked up by and computed from. */
export interface FeatureService<out Values = AnyValues, out Inputs = AnyInputs> extends Answering<
  Values,
  Inputs
> {
  readonly kind: 'feature_service'
  readonly name: string
  readonly description?: string
  /** Stored features, in the order in which the model takes them. */
  readonly features: readonly FeatureSelection[]
  /** Features that are computed when they are asked for; they follow the stored ones. */
  readonly onDemand?: readonly OnDemand[]
}

const schema = z.object({
  name: identifier,
  description: z.string().optional(),
  features: z.array(z.any()).min(1, 'a service needs at least one feature'),
  onDemand: z
    .array(
      z.custom<OnDemand>(
        (value) => (value as OnDemand | undefined)?.kind === 'on_demand',
        'must be on-demand features',
      ),
    )
    .optional(),
})

/**
 * Defines a feature service.
 *
 * @example
 * featureService({ name: 'delay_model_v1', features: [airportDelays.pick('mean_delay_24h')] })
 * @throws InputError that names the service, what has two meanings under one name, and the cure
 */
export function featureService<
  const Features extends readonly FeatureSelection[],
  const Made extends readonly OnDemand[] = readonly [],
>(definition: {
  name: string
  description?: string
  features: Features
  onDemand?: Made
}): FeatureService<
  Together<ValuesIn<Features[number] | Made[number]>>,
  Together<InputsIn<Features[number] | Made[number]>>
> {
  const what = labelOf('feature service', definition)
  parseDefinition(schema, definition, what)
  checkService(definition, what)
  return Object.freeze({ kind: 'feature_service' as const, ...definition })
}
