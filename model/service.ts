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
  /** Whether the online stores keep what the service reads of an entity in one value, too. */
  readonly preJoined?: boolean
}

/** Ids of the feature groups that a service takes, and of those that only its functions read. */
export const groupIdsOf = ({ features, onDemand = [] }: FeatureService): string[] => [
  ...new Set([...features, ...onDemand.flatMap(({ reads }) => reads)].map(({ group }) => group.id)),
]

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
  preJoined: z.boolean().optional(),
})

/**
 * Defines a feature service.
 *
 * With `preJoined: true` an online store keeps one value per entity beside those of the groups: a slot for each group of
 * the service, each as old as its own group's loads. An entity is then one key to read, however many groups there are, for
 * as much memory again and a second write in every load. All groups must be of one entity.
 *
 * @example
 * featureService({ name: 'delay_model_v1', features: [airportDelays.pick('mean_delay_24h')] })
 * @throws InputError that names the service, what has two meanings under one name or cannot be pre-joined, and the cure
 */
export function featureService<
  const Features extends readonly FeatureSelection[],
  const Made extends readonly OnDemand[] = readonly [],
>(definition: {
  name: string
  description?: string
  features: Features
  onDemand?: Made
  preJoined?: boolean
}): FeatureService<
  Together<ValuesIn<Features[number] | Made[number]>>,
  Together<InputsIn<Features[number] | Made[number]>>
> {
  const what = labelOf('feature service', definition)
  parseDefinition(schema, definition, what)
  checkService(definition, what)
  return Object.freeze({ kind: 'feature_service' as const, ...definition })
}
