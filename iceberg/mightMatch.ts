/**
 * Whether a manifest or a data file might hold a row for which a filter holds. "No" is certain; what is not known
 * counts as "might", so that a scan reads too much rather than too little.
 *
 *     fileMightMatch(file, spec, schema, { column: 'delay', op: 'gt', value: 15 })
 *
 * Comparisons are SQL's on DuckDB: with null nothing holds but `is_null`, and NaN is the greatest number.
 */
import type { ManifestFile } from './manifestList.ts'
import { fieldNamed } from './schema.ts'
import { compareValues, decodeBound, encodeBound, InvalidInput, type SingleValue } from './singleValue.ts'
import { projectComparison, transformType, type Comparison } from './transforms.ts'
import type {
  DataFile,
  IcebergType,
  NestedField,
  PartitionField,
  PartitionSpec,
  PrimitiveType,
  Schema,
} from './types.ts'

export type Filter =
  | { readonly op: 'and'; readonly filters: readonly Filter[] }
  | { readonly op: 'or'; readonly filters: readonly Filter[] }
  | ({ readonly column: string } & Comparison)

/** Checks that columns exist and that values have their type's form. @throws InvalidInput */
export function checkFilter(schema: Schema, filter: Filter): void {
  if (filter.op === 'and' || filter.op === 'or') {
    filter.filters.forEach((part) => checkFilter(schema, part))
    return
  }
  const { name, type } = fieldNamed(schema, filter.column)
  if (filter.op === 'is_null' || filter.op === 'not_null') return
  if (typeof type !== 'string') {
    throw new InvalidInput(
      `Column ${JSON.stringify(name)} is a list: only is_null and not_null can be asked of it.`,
    )
  }
  for (const value of filter.op === 'in' ? filter.value : [filter.value]) {
    if (!Number.isNaN(value)) encodeBound(type, value)
  }
}

export function manifestMightMatch(
  manifest: ManifestFile,
  spec: PartitionSpec,
  schema: Schema,
  filter: Filter,
): boolean {
  const { partitions } = manifest
  if (partitions?.length !== spec.fields.length) return true
  return mightMatch(filter, schema, (field, comparison) =>
    spec.fields.every((partitionField, index) => {
      const summary = partitions[index]
      if (partitionField['source-id'] !== field.id || !summary) return true
      return partitionMightMatch(partitionField, field, comparison, (type) => ({
        lower: summary.lowerBound ? decodeBound(type, summary.lowerBound) : undefined,
        upper: summary.upperBound ? decodeBound(type, summary.upperBound) : undefined,
        mayHoldNull: summary.containsNull,
        mayHoldValue: summary.lowerBound !== null || summary.containsNaN !== false,
        mayHoldNaN: summary.containsNaN !== false,
      }))
    }),
  )
}

export function fileMightMatch(file: DataFile, spec: PartitionSpec, schema: Schema, filter: Filter): boolean {
  return mightMatch(
    filter,
    schema,
    (field, comparison) =>
      rowsMightMatch(file, field, comparison) &&
      spec.fields.every((partitionField) => {
        if (partitionField['source-id'] !== field.id) return true
        const value = file.partition[partitionField.name]
        if (value === undefined) return true
        return partitionMightMatch(partitionField, field, comparison, () => ({
          lower: value ?? undefined,
          upper: value ?? undefined,
          mayHoldNull: value === null,
          mayHoldValue: value !== null,
          mayHoldNaN: Number.isNaN(value),
        }))
      }),
  )
}

function mightMatch(
  filter: Filter,
  schema: Schema,
  comparisonMightMatch: (field: NestedField, comparison: Comparison) => boolean,
): boolean {
  const part = (inner: Filter) => mightMatch(inner, schema, comparisonMightMatch)
  if (filter.op === 'and') return filter.filters.every(part)
  if (filter.op === 'or') return filter.filters.some(part)
  return comparisonMightMatch(fieldNamed(schema, filter.column), filter)
}

/** What is known of a set of values. */
interface Statistics {
  /** Undefined: not known. NaN is outside of bounds. */
  readonly lower: SingleValue | undefined
  readonly upper: SingleValue | undefined
  readonly mayHoldNull: boolean
  readonly mayHoldValue: boolean
  readonly mayHoldNaN: boolean
}

/** A transform that is not known here (another engine's `truncate`, say) rules nothing out. */
function partitionMightMatch(
  partitionField: PartitionField,
  field: NestedField,
  comparison: Comparison,
  statistics: (type: PrimitiveType) => Statistics,
): boolean {
  const type = resultType(partitionField.transform, field.type)
  const projected = type && projectionOf(partitionField.transform, field.type, comparison)
  return !projected || valuesMightMatch(type, statistics(type), projected)
}

/** By comparison, then by transform and type: a thousand keys are hashed once for a plan, not once for each of its files. */
const projections = new WeakMap<Comparison, Map<string, Comparison | null>>()

function projectionOf(transform: string, type: IcebergType, comparison: Comparison): Comparison | null {
  const known = projections.get(comparison) ?? new Map<string, Comparison | null>()
  projections.set(comparison, known)
  const place = `${transform} of ${JSON.stringify(type)}`
  const there = known.get(place)
  if (there !== undefined) return there
  const projected = projectComparison(transform, type, comparison)
  known.set(place, projected)
  return projected
}

function resultType(transform: string, source: IcebergType): PrimitiveType | null {
  try {
    return transformType(transform, source)
  } catch (error) {
    if (error instanceof InvalidInput) return null
    throw error
  }
}

function rowsMightMatch(file: DataFile, { id, type }: NestedField, comparison: Comparison): boolean {
  const nulls = file.nullValueCounts.get(id)
  const values = file.valueCounts.get(id)
  const lower = file.lowerBounds.get(id)
  const upper = file.upperBounds.get(id)
  const primitive = typeof type === 'string' ? type : null
  const isFloating = primitive === 'float' || primitive === 'double'
  return valuesMightMatch(
    primitive,
    {
      lower: primitive && lower ? decodeBound(primitive, lower) : undefined,
      upper: primitive && upper ? decodeBound(primitive, upper) : undefined,
      mayHoldNull: nulls === undefined || nulls > 0n,
      mayHoldValue: nulls === undefined || values === undefined || nulls < values,
      mayHoldNaN: isFloating && file.nanValueCounts.get(id) !== 0n,
    },
    comparison,
  )
}

/** Lists (type null) have no bounds, so that only their nulls are known. */
function valuesMightMatch(type: PrimitiveType | null, known: Statistics, comparison: Comparison): boolean {
  if (comparison.op === 'is_null') return known.mayHoldNull
  if (!known.mayHoldValue) return false
  if (comparison.op === 'not_null' || type === null) return true
  const { lower } = known
  const upper = known.mayHoldNaN ? undefined : known.upper
  const reaches = (value: SingleValue, orEqual: boolean): boolean =>
    upper === undefined || compareValues(type, upper, value) > (orEqual ? -1 : 0)
  const startsBefore = (value: SingleValue, orEqual: boolean): boolean =>
    lower === undefined || compareValues(type, lower, value) < (orEqual ? 1 : 0)
  switch (comparison.op) {
    case 'eq':
      return startsBefore(comparison.value, true) && reaches(comparison.value, true)
    case 'in':
      return comparison.value.some((value) => startsBefore(value, true) && reaches(value, true))
    case 'lt':
    case 'le':
      return startsBefore(comparison.value, comparison.op === 'le')
    case 'gt':
    case 'ge':
      return reaches(comparison.value, comparison.op === 'ge')
  }
}
