/** Where a feature's type is kept in a table. */
import type { PrimitiveType } from '../iceberg/index.ts'
import type { FeatureType } from '../model/index.ts'

const icebergTypes: Record<FeatureType, PrimitiveType> = {
  boolean: 'boolean',
  int32: 'int',
  int64: 'long',
  float32: 'float',
  float64: 'double',
  string: 'string',
  timestamp: 'timestamptz',
}

export const icebergTypeOf = (type: FeatureType): PrimitiveType => icebergTypes[type]
