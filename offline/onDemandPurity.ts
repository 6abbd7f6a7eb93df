/**
 * The purity check of on-demand features: their function runs twice over made-up inputs of the declared types
 * (syntheticInputs.ts), the second time in another order (comparePasses.ts).
 *
 * It also has to cope with what any row may bring, nulls above all: a training set must not fail at one label of millions,
 * nor a request at an entity without a value.
 */
import { InputError } from '../model/errors.ts'
import type { FeatureType } from '../model/featureType.ts'
import { featureColumn, type FeatureSelection } from '../model/group.ts'
import type { OnDemand, OnDemandInput, OnDemandValue } from '../model/onDemand.ts'
import { formatInstant } from '../model/time.ts'
import { shown } from '../model/callFunction.ts'
import { comparePasses } from './comparePasses.ts'
import { runOnDemand } from '../model/runOnDemand.ts'
import { syntheticInputs, type SyntheticInput, type SyntheticValue } from './syntheticInputs.ts'

/**
 * @param typeOf the type of a feature that the function reads
 * @throws InputError that names the definition, the feature and the difference, what the function touched, or the input
 * that it did not cope with.
 */
export function checkOnDemandPurity(
  onDemand: OnDemand,
  typeOf: (selection: FeatureSelection, feature: string) => FeatureType,
): void {
  const { name, request, features } = onDemand
  const requested = Object.entries(request).map(([value, type]) => ({ name: value, type, nullable: true }))
  const read = onDemand.reads.flatMap((selection) =>
    selection.features.map((feature): SyntheticValue => ({
      name: featureColumn(selection, feature),
      type: typeOf(selection, feature),
      // A default stands for every value that is not there.
      nullable: selection.group.features[feature]?.default === undefined,
    })),
  )
  const inputOf = ({ values, at }: SyntheticInput): OnDemandInput => ({
    ...{ request: only(values, requested), features: only(values, read), at },
  })
  comparePasses<SyntheticInput>(
    {
      what: `on-demand features ${name}`,
      context: { onDemand: name },
      features: Object.keys(features).map((feature) => ({ name: feature })),
      run: (input) => outcomeOf(onDemand, input, inputOf(input)),
      shownInput: (input) =>
        `the request ${shown(inputOf(input).request)} with the features ${shown(inputOf(input).features)} at ${formatInstant(input.at)}`,
      again: 'the same values under another time zone and with the requests in another order',
    },
    syntheticInputs([...requested, ...read]),
  )
}

const only = (
  values: Readonly<Record<string, OnDemandValue>>,
  names: readonly SyntheticValue[],
): Readonly<Record<string, OnDemandValue>> =>
  Object.fromEntries(names.map(({ name }) => [name, values[name] ?? null]))

/** What the function gives; over extreme values an error is an outcome like others, which has to be the same again. */
function outcomeOf(
  onDemand: OnDemand,
  { isOrdinary, nulls }: SyntheticInput,
  input: OnDemandInput,
): readonly unknown[] {
  try {
    return runOnDemand(onDemand, input)
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    if (!isOrdinary) return Object.keys(onDemand.features).map(() => `the error: ${error.message}`)
    const said = error.message.replace(/\.$/, '')
    const why =
      nulls.length > 0
        ? `Here ${nulls.join(', ')} ${nulls.length === 1 ? 'is' : 'are'} null: values may be null, of requests as of features that are not there and have no default. Look for null first, and leave out the features that cannot be made then.`
        : `With the features ${shown(input.features)} these are values that any request may bring. Leave out the features that cannot be made of them.`
    throw new InputError(`${said}. ${why}`, error.context, { cause: error })
  }
}
