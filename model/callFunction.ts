/** One call of a definition's function: its result is checked, and its errors say where they come from. */
import { InputError, type ErrorContext } from './errors.ts'
import type { FeatureType } from './featureType.ts'
import { functionValue, type FunctionValue } from './functionValue.ts'

export interface FunctionCall {
  readonly call: () => unknown
  /** What the result may have, in the order of the definition. */
  readonly features: readonly { readonly name: string; readonly type: FeatureType }[]
  /** `feature group g_v1: the function for … at …`; asked only where something is wrong. */
  readonly where: () => string
  readonly context: () => ErrorContext
}

/**
 * The values of the features, in the order of the definition.
 *
 * @throws InputError that says where, for what the function throws, and with the feature and the value for one that is not
 * of its type.
 */
export function callFunction({ call, features, where, context }: FunctionCall): FunctionValue[] {
  let result: unknown
  try {
    result = call()
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause)
    throw new InputError(`${where()} threw: ${said}`, context(), { cause })
  }
  if (typeof result !== 'object' || result === null || Array.isArray(result) || 'then' in result) {
    const what =
      typeof result === 'object' && result !== null && 'then' in result ? 'a promise' : shown(result)
    throw new InputError(`${where()} returned ${what}. Return an object of features, at once.`, context())
  }
  const values = result as Readonly<Record<string, unknown>>
  const unknown = Object.keys(values).find((name) => !features.some((feature) => feature.name === name))
  if (unknown !== undefined) {
    throw new InputError(
      `${where()} returned ${unknown}, which is no feature of the definition. It has ${features.map(({ name }) => name).join(', ')}.`,
      { ...context(), feature: unknown },
    )
  }
  return features.map(({ name, type }) => {
    const value = functionValue(type, values[name])
    if (value !== undefined) return value
    throw new InputError(`${where()} returned ${name} = ${shown(values[name])}, which is no ${type}.`, {
      ...context(),
      feature: name,
    })
  })
}

/** As JSON, where bigints are numbers and what JSON leaves out has its own text. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'bigint' || (typeof one === 'number' && !Number.isFinite(one)) ? String(one) : one,
  ) as string | undefined
  return text ?? String(value)
}
