/**
 * Defaults: what stands for a value that is not present, in serving and in training alike, while the status still tells
 * (rule 10).
 *
 * They are written as TypeScript values and checked against the feature's type once that is known.
 */
import { InputError } from './errors.ts'
import { shapeOf, type FeatureType, type ScalarType } from './featureType.ts'
import { parseInstant } from './time.ts'

export type Scalar = boolean | number | bigint | string
/** An instant is an ISO string or milliseconds since the epoch; an int64 a bigint or a safe whole number. */
export type FeatureDefault = Scalar | readonly Scalar[]

const int64Limit = 2n ** 63n

/**
 * A default as a value of the feature's type: int64 as bigint, instants as microseconds in a bigint, as the online store
 * has them.
 *
 * @param what names the feature in the error
 * @throws InputError where it is no such value
 */
export function defaultValue(type: FeatureType, given: FeatureDefault, what: string): FeatureDefault {
  const shape = shapeOf(type)
  const refuse = () =>
    new InputError(
      `${what}: the default ${shown(given)} is no ${type}. Give it ${cureFor(type)}, or leave the default away.`,
      { type },
    )
  if (shape.kind === 'scalar') {
    const value = typeof given === 'object' ? null : scalarValue(shape.scalar, given, what)
    if (value === null) throw refuse()
    return value
  }
  if (typeof given !== 'object' || (shape.kind === 'vector' && given.length !== shape.length)) throw refuse()
  return given.map((element) => {
    const value = scalarValue(shape.element, element, what)
    if (value === null) throw refuse()
    return value
  })
}

/** Null where the value is not of the type. NaN and the infinities are no defaults, and -0 is 0: JSON has none of them. */
function scalarValue(type: ScalarType, given: Scalar, what: string): Scalar | null {
  switch (type) {
    case 'boolean':
      return typeof given === 'boolean' ? given : null
    case 'string':
      return typeof given === 'string' && !/\p{Surrogate}/u.test(given) ? given : null
    case 'float64':
      return typeof given === 'number' && Number.isFinite(given) ? given + 0 : null
    case 'float32':
      return typeof given === 'number' && Number.isFinite(Math.fround(given)) ? Math.fround(given) + 0 : null
    case 'int32':
      return typeof given === 'number' && (given | 0) === given ? given : null
    case 'int64':
      return wholeNumber(given)
    case 'timestamp':
      if (typeof given === 'string') return BigInt(parseInstant(given, `${what}: the default`)) * 1000n
      return Number.isSafeInteger(given) ? BigInt(given) * 1000n : null
  }
}

function wholeNumber(given: Scalar): bigint | null {
  if (typeof given === 'bigint') return given >= -int64Limit && given < int64Limit ? given : null
  return Number.isSafeInteger(given) ? BigInt(given) : null
}

function cureFor(type: FeatureType): string {
  const shape = shapeOf(type)
  if (shape.kind === 'vector') return `a list of ${shape.length} finite numbers`
  if (shape.kind === 'list') return `a list of ${shape.element} values`
  const cures: Record<ScalarType, string> = {
    boolean: 'true or false',
    int32: 'a whole number within 32 bits',
    int64: 'a whole number or a bigint',
    float32: 'a finite number',
    float64: 'a finite number',
    string: 'well-formed text',
    timestamp: "an instant such as '2001-01-08T06:00:00Z'",
  }
  return cures[shape.scalar]
}

const shown = (given: FeatureDefault) =>
  JSON.stringify(given, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
