/**
 * What a definition's function returns, as a value of the feature's type: the same for a training set, a table and an
 * online answer. int64 and instants (microseconds) are bigints; a float32 is rounded to one here, once for all of them.
 */
import { shapeOf, type FeatureType, type ScalarType } from './featureType.ts'

export type FunctionScalar = boolean | number | bigint | string | null
/** Lists and vectors are arrays. */
export type FunctionValue = FunctionScalar | readonly FunctionScalar[]

/** Undefined where the value is not of the type; what is left out is null. */
export function functionValue(type: FeatureType, value: unknown): FunctionValue | undefined {
  if (value === null || value === undefined) return null
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return scalarValue(shape.scalar, value)
  if (!Array.isArray(value) || (shape.kind === 'vector' && value.length !== shape.length)) return undefined
  const isElement = (element: FunctionScalar | undefined): element is FunctionScalar =>
    element !== undefined && (element !== null || shape.kind !== 'vector')
  const elements = value.map((element: unknown) => elementValue(shape.element, element))
  return elements.every(isElement) ? elements : undefined
}

const elementValue = (type: ScalarType, value: unknown): FunctionScalar | undefined =>
  value === null || value === undefined ? null : scalarValue(type, value)

function scalarValue(type: ScalarType, value: unknown): FunctionScalar | undefined {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'string':
      return typeof value === 'string' && !/\p{Surrogate}/u.test(value) ? value : undefined
    case 'float32':
      return typeof value === 'number' ? Math.fround(value) : undefined
    case 'float64':
      return typeof value === 'number' ? value : undefined
    case 'int32':
      return typeof value === 'number' && (value | 0) === value ? value | 0 : undefined
    case 'int64':
      return int64Value(value)
    case 'timestamp':
      return instantMicros(value)
  }
}

function int64Value(value: unknown): bigint | undefined {
  const whole = Number.isSafeInteger(value) ? BigInt(value as number) : value
  return typeof whole === 'bigint' && BigInt.asIntN(64, whole) === whole ? whole : undefined
}

/** Of a Date or milliseconds since the epoch, microseconds as their fraction. */
function instantMicros(value: unknown): bigint | undefined {
  const ms = value instanceof Date ? value.getTime() : value
  const micros = typeof ms === 'number' ? Math.round(ms * 1000) : Number.NaN
  return Number.isSafeInteger(micros) ? BigInt(micros) : undefined
}
