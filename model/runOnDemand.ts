/** One call of the function of on-demand features, over one request and the stored features that it reads. */
import { formatInstant } from './time.ts'
import type { OnDemand, OnDemandInput, OnDemandValue } from './onDemand.ts'
import { callFunction, shown } from './callFunction.ts'
import type { FunctionValue } from './functionValue.ts'

/**
 * The values of the features, in the order of the definition; null where the function leaves one out. Defaults are filled
 * in by whoever asks, for a value's status is told beside it.
 *
 * @param input every request value and every read feature that the definition names, and nothing else
 * @throws InputError that names the definition, the request and its time for what the function throws, and the feature
 * and the value for one that is not of its type.
 */
export function runOnDemand(onDemand: OnDemand, input: OnDemandInput): FunctionValue[] {
  const { name } = onDemand
  return callFunction({
    features: Object.entries(onDemand.features).map(([feature, { type }]) => ({ name: feature, type })),
    call: () => onDemand.compute(frozen(input)),
    where: () =>
      `on-demand features ${name}: the function for the request ${shown(input.request)} at ${formatInstant(input.at)}`,
    context: () => ({ onDemand: name, request: shown(input.request) }),
  })
}

/** A copy, for the next function gets the same values: one that changed them would change what others see. */
const frozen = ({ request, features, at }: OnDemandInput): OnDemandInput =>
  Object.freeze({ request: frozenValues(request), features: frozenValues(features), at })

const frozenValues = (values: Readonly<Record<string, OnDemandValue>>) =>
  Object.freeze(
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        typeof value === 'object' && value !== null ? Object.freeze([...value]) : value,
      ]),
    ),
  )
