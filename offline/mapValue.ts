/** Values that a function returns, as DuckDB's, and the types to append them with. */
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
import type { FunctionScalar, FunctionValue } from '../model/functionValue.ts'

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

/** A value that `functionValue` has checked, as DuckDB's own. */
export function duckdbValue(type: FeatureType, value: FunctionValue): DuckDBValue {
  if (value === null) return null
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return scalarValue(shape.scalar, value as FunctionScalar)
  const elements = (value as readonly FunctionScalar[]).map((one) => scalarValue(shape.element, one))
  return shape.kind === 'vector' ? arrayValue(elements) : listValue(elements)
}

const scalarValue = (type: ScalarType, value: FunctionScalar): DuckDBValue =>
  type === 'timestamp' && value !== null ? new DuckDBTimestampTZValue(value as bigint) : value
