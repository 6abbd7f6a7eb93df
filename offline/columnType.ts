/** What DuckDB's column types mean to features and keys. */
import { listOf, shapeOf, vectorOf, type FeatureType, type ScalarType } from '../model/feature.ts'

export interface Column {
  readonly name: string
  /** As DuckDB writes it, such as `BIGINT` or `DECIMAL(10,2)`. */
  readonly type: string
}

export type TypeClass = 'integer' | 'float' | 'decimal' | 'text' | 'boolean' | 'instant' | 'other'

const signedIntegers = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT']
const unsignedIntegers = ['UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT']
const floats = ['FLOAT', 'DOUBLE']
const fitInt32 = ['TINYINT', 'SMALLINT', 'INTEGER', 'UTINYINT', 'USMALLINT']

export function classOf(type: string): TypeClass {
  if (signedIntegers.includes(type) || unsignedIntegers.includes(type)) return 'integer'
  if (floats.includes(type)) return 'float'
  if (/^DECIMAL\(\d+,\d+\)$/.test(type)) return 'decimal'
  if (type === 'VARCHAR') return 'text'
  if (type === 'BOOLEAN') return 'boolean'
  if (type === 'TIMESTAMP WITH TIME ZONE') return 'instant'
  return 'other'
}

export const isNumeric = (type: string) => ['integer', 'float', 'decimal'].includes(classOf(type))

/** Whether every value of the integer type is an int32. */
export const fitsInt32 = (type: string) => fitInt32.includes(type)

/** The feature type that holds a column's values as they are (a decimal as float64); null where there is none. */
export function featureTypeOf(type: string): FeatureType | null {
  const [, elementType, length] = /^(.+)\[(\d*)\]$/.exec(type) ?? []
  if (elementType === undefined) return scalarTypeOf(type)
  if (elementType === 'FLOAT' && length) return vectorOf(Number(length))
  const element = scalarTypeOf(elementType)
  return element === null ? null : listOf(element)
}

/** The same for types whose values have an order; a list has none that a feature could stand for. */
export function scalarTypeOf(type: string): ScalarType | null {
  switch (classOf(type)) {
    case 'integer':
      return fitsInt32(type) ? 'int32' : 'int64'
    case 'float':
      return type === 'FLOAT' ? 'float32' : 'float64'
    case 'decimal':
      return 'float64'
    case 'text':
      return 'string'
    case 'boolean':
      return 'boolean'
    case 'instant':
      return 'timestamp'
    case 'other':
      return null
  }
}

export const duckdbTypes: Readonly<Record<ScalarType, string>> = {
  boolean: 'BOOLEAN',
  int32: 'INTEGER',
  int64: 'BIGINT',
  float32: 'FLOAT',
  float64: 'DOUBLE',
  string: 'VARCHAR',
  timestamp: 'TIMESTAMPTZ',
}

/** DuckDB's type of a feature's values. */
export function duckdbTypeOf(type: FeatureType): string {
  const shape = shapeOf(type)
  switch (shape.kind) {
    case 'scalar':
      return duckdbTypes[shape.scalar]
    case 'list':
      return `${duckdbTypes[shape.element]}[]`
    case 'vector':
      return `FLOAT[${shape.length}]`
  }
}

/** The type that holds both without loss; null where the two types clash. */
export function commonType(one: string, other: string): string | null {
  if (one === other) return one
  for (const family of [signedIntegers, unsignedIntegers, floats]) {
    const wider = Math.max(family.indexOf(one), family.indexOf(other))
    if (family.includes(one) && family.includes(other)) return family[wider] ?? null
  }
  return null
}
