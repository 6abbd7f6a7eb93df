/**
 * Partition transforms `identity`, `day` and `bucket[N]`: of values and of comparisons (for pruning).
 * Their SQL is in duckdb/transformSql.ts.
 *
 *     applyTransform('day', 'timestamptz', -1n)              // -1: 31 December 1969
 *     projectComparison('day', 'timestamptz', { op: 'lt', value: 86_400_000_000n }) // { op: 'le', value: 0 }
 *
 * Formulas: the specification's Appendix B and its section on partition transforms.
 */
import { encodeBound, InvalidInput, type SingleValue } from './singleValue.ts'
import type { IcebergType, PrimitiveType } from './types.ts'

export type Transform =
  | { readonly kind: 'identity' }
  | { readonly kind: 'day' }
  | { readonly kind: 'bucket'; readonly count: number }

/** Values of partition tuples: whatever `identity` can give, and whole numbers for `day` and `bucket`. */
export type PartitionValue = Exclude<SingleValue, Uint8Array>

export const microsPerDay = 86_400_000_000n

/** Reads `identity`, `day` or `bucket[N]`; any other transform is refused, since its files could not be pruned or written. */
export function parseTransform(text: string): Transform {
  if (text === 'identity' || text === 'day') return { kind: text }
  const count = Number(/^bucket\[([1-9]\d{0,8})\]$/.exec(text)?.[1])
  if (count > 0) return { kind: 'bucket', count }
  throw new InvalidInput(
    `Partition transform ${JSON.stringify(text)} is not supported. Use identity, day or bucket[N].`,
  )
}

/** The type of a transform's results; a source type that it cannot take is refused. */
export function transformType(transform: string, source: IcebergType): PrimitiveType {
  const { kind } = parseTransform(transform)
  const sources = sourceTypes[kind]
  if (typeof source !== 'string' || !sources.includes(source)) {
    const name = typeof source === 'string' ? source : 'list'
    throw new InvalidInput(
      `${transform} of a column of type ${name} is not supported. Partition by a column of type ${sources.join(', ')}.`,
    )
  }
  if (kind === 'identity') return source
  return kind === 'day' ? 'date' : 'int'
}

const sourceTypes: Record<Transform['kind'], readonly PrimitiveType[]> = {
  identity: ['boolean', 'int', 'long', 'string', 'date', 'timestamp', 'timestamptz'],
  day: ['date', 'timestamp', 'timestamptz'],
  bucket: ['int', 'long', 'string', 'date', 'timestamp', 'timestamptz', 'binary'],
}

/** The partition value of a source value; null stays null. Days are days since the epoch. */
export function applyTransform(
  transform: string,
  type: IcebergType,
  value: SingleValue | null,
): PartitionValue | null {
  const parsed = parseTransform(transform)
  transformType(transform, type)
  if (value === null) return null
  if (parsed.kind === 'day') return typeof value === 'bigint' ? floorDay(value) : Number(value)
  if (parsed.kind === 'bucket') return bucketOf(type as PrimitiveType, value, parsed.count)
  if (value instanceof Uint8Array) throw new InvalidInput('identity of binary is not supported.')
  return value
}

/** Rounds towards the past, so that an instant before 1970 falls into its own day. */
function floorDay(micros: bigint): number {
  const day = micros / microsPerDay
  return Number(micros % microsPerDay < 0n ? day - 1n : day)
}

function bucketOf(type: PrimitiveType, value: SingleValue, count: number): number {
  const hashed = type === 'int' || type === 'date' ? 'long' : type
  const bytes = encodeBound(hashed, hashed === 'long' && typeof value === 'number' ? BigInt(value) : value)
  return bucketOfHash(murmur3(bytes), count)
}

/** The bucket, from 0 to count - 1, of a hash. */
export const bucketOfHash = (hash: number, count: number): number => (hash & 0x7fffffff) % count

/** MurmurHash3, x86, 32 bits, seed 0; a signed number, as the specification's vectors are. */
export function murmur3(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length & ~3
  let hash = 0
  for (let offset = 0; offset < whole; offset += 4) {
    hash ^= scramble(view.getInt32(offset, true))
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let offset = bytes.length - 1; offset >= whole; offset--) tail = (tail << 8) | view.getUint8(offset)
  hash ^= scramble(tail) ^ bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

export type Comparison =
  | { readonly op: 'eq'; readonly value: SingleValue }
  | { readonly op: 'lt'; readonly value: SingleValue }
  | { readonly op: 'le'; readonly value: SingleValue }
  | { readonly op: 'gt'; readonly value: SingleValue }
  | { readonly op: 'ge'; readonly value: SingleValue }
  | { readonly op: 'in'; readonly value: readonly SingleValue[] }
  | { readonly op: 'is_null' }
  | { readonly op: 'not_null' }

/**
 * A comparison that holds for the partition value of every row for which the given one holds (the specification's
 * inclusive projection), or null where none is known: such a partition might match.
 */
export function projectComparison(
  transform: string,
  type: IcebergType,
  comparison: Comparison,
): Comparison | null {
  const apply = (value: SingleValue): SingleValue => {
    const result = applyTransform(transform, type, value)
    if (result === null) throw new InvalidInput(`${transform} of ${String(value)} is null.`)
    return result
  }
  const { kind } = parseTransform(transform)
  if (kind === 'identity' || comparison.op === 'is_null' || comparison.op === 'not_null') return comparison
  if (comparison.op === 'in') return { op: 'in', value: [...new Set(comparison.value.map(apply))] }
  if (comparison.op === 'eq') return { op: 'eq', value: apply(comparison.value) }
  if (kind === 'bucket') return null
  // Strictly before an instant is at or before the previous microsecond, which may lie in the previous day.
  if (comparison.op === 'lt') return { op: 'le', value: apply(neighbour(comparison.value, -1)) }
  if (comparison.op === 'gt') return { op: 'ge', value: apply(neighbour(comparison.value, 1)) }
  return { op: comparison.op, value: apply(comparison.value) }
}

const neighbour = (value: SingleValue, step: 1 | -1): SingleValue =>
  typeof value === 'bigint' ? value + BigInt(step) : Number(value) + step
