/**
 * Types of features, as text wherever they are kept: `float64`, `list<string>`, `vector<384>`.
 *
 * A vector is an embedding: so many float32, always, and no nulls among them. A list has any number of elements of one
 * scalar type. Any feature may be null as a whole.
 */
export const scalarTypes = ['boolean', 'int32', 'int64', 'float32', 'float64', 'string', 'timestamp'] as const
export type ScalarType = (typeof scalarTypes)[number]
export type ListType = `list<${ScalarType}>`
export type VectorType = `vector<${number}>`
export type FeatureType = ScalarType | ListType | VectorType

/** A type taken apart. */
export type TypeShape =
  | { readonly kind: 'scalar'; readonly scalar: ScalarType }
  | { readonly kind: 'list'; readonly element: ScalarType }
  | { readonly kind: 'vector'; readonly element: 'float32'; readonly length: number }

/** The longest vector that there is. */
export const longestVector = 16_384

export const listOf = (element: ScalarType): ListType => `list<${element}>`
export const vectorOf = (length: number): VectorType => `vector<${length}>`

export function isScalar(type: string): type is ScalarType {
  return (scalarTypes as readonly string[]).includes(type)
}

/** Every value that is read or written asks for the shape of its type, of which there are few. */
const shapes = new Map<string, TypeShape>()

/** What a type is made of. */
export function shapeOf(type: FeatureType): TypeShape {
  const known = shapes.get(type)
  if (known !== undefined) return known
  const shape = parseShape(type)
  if (shape === null) throw new RangeError(`${type} is no type of a feature.`)
  shapes.set(type, shape)
  return shape
}

/** Text as a type, or null. */
export function parseFeatureType(text: string): FeatureType | null {
  return parseShape(text) === null ? null : (text as FeatureType)
}

function parseShape(text: string): TypeShape | null {
  if (isScalar(text)) return { kind: 'scalar', scalar: text }
  const element = /^list<(\w+)>$/.exec(text)?.[1]
  if (element !== undefined) return isScalar(element) ? { kind: 'list', element } : null
  const digits = /^vector<([1-9]\d{0,4})>$/.exec(text)?.[1]
  const length = Number(digits)
  return digits === undefined || length > longestVector
    ? null
    : { kind: 'vector', element: 'float32', length }
}
