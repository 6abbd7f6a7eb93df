/** Values that a function returns, as DuckDB's values of the feature's type. */
import {
  ARRAY,
  BIGINT,
  BOOLEAN,
  DOUBLE,
  FLOAT,
  INTEGER,
  LIST,
  TIMESTAMPTZ,
  VARCHAR,
  DuckDBTimestampTZValue,
  arrayValue,
  listValue,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api'
import { shapeOf, type FeatureType, type ScalarType } from '../model/featureType.ts'

const scalars: Readonly<Record<ScalarType, DuckDBType>> = {
  boolean: BOOLEAN,
  int32: INTEGER,
  int64: BIGINT,
  float32: FLOAT,
  float64: DOUBLE,
  string: VARCHAR,
  timestamp: TIMESTAMPTZ,
}

export function appendedType(type: FeatureType): DuckDBType {
  const shape = shapeOf(type)
  switch (shape.kind) {
    case 'scalar':
      return scalars[shape.scalar]
    case 'list':
      return LIST(scalars[shape.element])
    case 'vector':
      return ARRAY(FLOAT, shape.length)
  }
}

/** Undefined where the value is not of the type; what is left out is null. */
export function mapValue(type: FeatureType, value: unknown): DuckDBValue | undefined {
  if (value === null || value === undefined) return null
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return scalarValue(shape.scalar, value)
  if (!Array.isArray(value) || (shape.kind === 'vector' && value.length !== shape.length)) return undefined
  const elements = value.map((element: unknown) => scalarValue(shape.element, element))
  if (elements.includes(undefined)) return undefined
  const whole = elements as DuckDBValue[]
  return shape.kind === 'vector' ? arrayValue(whole) : listValue(whole)
}

function scalarValue(type: ScalarType, value: unknown): DuckDBValue | undefined {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'string':
      return typeof value === 'string' && !/\p{Surrogate}/u.test(value) ? value : undefined
    case 'float32':
    case 'float64':
      return typeof value === 'number' ? value : undefined
    case 'int32':
      return typeof value === 'number' && Number.isInteger(value) && Math.abs(value + 0.5) < 2 ** 31
        ? value
        : undefined
    case 'int64':
      return int64Value(value)
    case 'timestamp':
      return instantValue(value)
  }
}

function int64Value(value: unknown): bigint | undefined {
  const whole = Number.isSafeInteger(value) ? BigInt(value as number) : value
  return typeof whole === 'bigint' && BigInt.asIntN(64, whole) === whole ? whole : undefined
}

/** A Date or milliseconds since the epoch, microseconds as their fraction. */
function instantValue(value: unknown): DuckDBValue | undefined {
  const ms = value instanceof Date ? value.getTime() : value
  const micros = typeof ms === 'number' ? Math.round(ms * 1000) : Number.NaN
  return Number.isSafeInteger(micros) ? new DuckDBTimestampTZValue(BigInt(micros)) : undefined
}
