/**
 * Where a data file lies in time against ranges `after < v <= upTo`, judged by its bounds and its partition: names
 * that say "inside" or "outside" are certain, "across" may be either.
 */
import { fieldNamed } from './schema.ts'
import { decodeBound, InvalidInput } from './singleValue.ts'
import { microsPerDay } from './transforms.ts'
import type { DataFile, MicrosRange, PartitionSpec, Schema } from './types.ts'

export type Place = 'inside' | 'outside' | 'across'

/** Least and greatest value, both included; undefined where it is not known. */
interface Span {
  readonly from: bigint | undefined
  readonly to: bigint | undefined
}

/** @throws InvalidInput where the column holds no instants */
export function checkTimeColumn(schema: Schema, column: string): void {
  const { type } = fieldNamed(schema, column)
  if (type === 'timestamptz' || type === 'timestamp') return
  throw new InvalidInput(
    `Column ${JSON.stringify(column)} is no timestamp, so no range of time can be replaced.`,
  )
}

/** The ranges in order, those that touch or overlap made one. @throws InvalidInput for a reversed or empty one */
export function mergeRanges(ranges: readonly MicrosRange[]): MicrosRange[] {
  const merged: MicrosRange[] = []
  for (const range of ranges.toSorted((left, right) => (left.after < right.after ? -1 : 1))) {
    if (range.after >= range.upTo) {
      throw new InvalidInput(`The range after ${range.after} up to ${range.upTo} is empty.`)
    }
    const last = merged.at(-1)
    if (last === undefined || range.after > last.upTo) merged.push(range)
    else if (range.upTo > last.upTo) merged[merged.length - 1] = { after: last.after, upTo: range.upTo }
  }
  return merged
}

/** Rows without a value lie outside of every range. */
export function placeOf(
  file: DataFile,
  where: { readonly schema: Schema; readonly spec: PartitionSpec; readonly column: string },
  merged: readonly MicrosRange[],
): Place {
  const { id } = fieldNamed(where.schema, where.column)
  const nulls = file.nullValueCounts.get(id)
  if (nulls !== undefined && nulls === file.valueCounts.get(id)) return 'outside'
  const { from, to } = spanOf(file, id, where.spec)
  const isOutside = merged.every(
    ({ after, upTo }) => (to !== undefined && to <= after) || (from !== undefined && from > upTo),
  )
  if (isOutside) return 'outside'
  const isInside =
    nulls === 0n &&
    from !== undefined &&
    to !== undefined &&
    merged.some(({ after, upTo }) => after < from && to <= upTo)
  return isInside ? 'inside' : 'across'
}

/** Whether some row of the file is known to lie in none of the ranges. */
export function hasRowOutside(
  file: DataFile,
  schema: Schema,
  column: string,
  merged: readonly MicrosRange[],
): boolean {
  const { id } = fieldNamed(schema, column)
  if ((file.nullValueCounts.get(id) ?? 0n) > 0n) return true
  const bounds = [boundOf(file.lowerBounds, id), boundOf(file.upperBounds, id)]
  return bounds.some(
    (bound) => bound !== undefined && !merged.some(({ after, upTo }) => after < bound && bound <= upTo),
  )
}

/** The file's bounds, or the day that its partition stands for. */
function spanOf(file: DataFile, fieldId: number, spec: PartitionSpec): Span {
  const day = dayOf(file, fieldId, spec)
  return {
    from: boundOf(file.lowerBounds, fieldId) ?? (day === undefined ? undefined : day * microsPerDay),
    to:
      boundOf(file.upperBounds, fieldId) ?? (day === undefined ? undefined : (day + 1n) * microsPerDay - 1n),
  }
}

function boundOf(bounds: ReadonlyMap<number, Uint8Array>, fieldId: number): bigint | undefined {
  const bytes = bounds.get(fieldId)
  const value = bytes && decodeBound('timestamptz', bytes)
  return typeof value === 'bigint' ? value : undefined
}

function dayOf(file: DataFile, fieldId: number, spec: PartitionSpec): bigint | undefined {
  const field = spec.fields.find((each) => each['source-id'] === fieldId && each.transform === 'day')
  const day = field && file.partition[field.name]
  return typeof day === 'number' ? BigInt(day) : undefined
}
