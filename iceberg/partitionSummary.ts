/** What a manifest list says of the partitions in a manifest: for each field of the spec, the bounds of its values. */
import { fieldWithId } from './schema.ts'
import { compareValues, encodeBound, type SingleValue } from './singleValue.ts'
import { transformType } from './transforms.ts'
import type { PartitionSpec, PartitionTuple, PrimitiveType, Schema } from './types.ts'

export interface PartitionSummary {
  readonly containsNull: boolean
  /** Null: not known. */
  readonly containsNaN: boolean | null
  /** Single-value serialisation of the transform's type; null where all values are null. */
  readonly lowerBound: Uint8Array | null
  readonly upperBound: Uint8Array | null
}

/** One summary for each field of the spec, in its order. */
export function partitionSummaries(
  schema: Schema,
  spec: PartitionSpec,
  partitions: readonly PartitionTuple[],
): PartitionSummary[] {
  return spec.fields.map((field) => {
    const type = transformType(field.transform, fieldWithId(schema, field['source-id']).type)
    const values = partitions.map((partition) => partition[field.name] ?? null)
    const known = values.filter((value) => value !== null)
    const lower = extreme(type, known, -1)
    const upper = extreme(type, known, 1)
    return {
      containsNull: known.length < values.length,
      containsNaN: false,
      lowerBound: lower === undefined ? null : encodeBound(type, lower),
      upperBound: upper === undefined ? null : encodeBound(type, upper),
    }
  })
}

function extreme(
  type: PrimitiveType,
  values: readonly SingleValue[],
  direction: 1 | -1,
): SingleValue | undefined {
  return values.reduce<SingleValue | undefined>(
    (found, value) =>
      found === undefined || compareValues(type, value, found) * direction > 0 ? value : found,
    undefined,
  )
}
