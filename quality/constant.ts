/** Constants of a definition in the type of the feature that they are compared with: nothing is rounded on the way. */
import type { Literal } from '../model/condition.ts'
import { InputError, IntegrityError } from '../model/errors.ts'
import type { FeatureType } from '../model/feature.ts'
import { parseInstant } from '../model/time.ts'
import { quoteText } from './sql.ts'

const limits: Readonly<Record<'int32' | 'int64', { min: bigint; max: bigint }>> = {
  int32: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  int64: { min: -(2n ** 63n), max: 2n ** 63n - 1n },
}

/** SQL of the value as the type, or null where it is no value of it. */
function constantOrNull(value: Literal, type: FeatureType): string | null {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : null
    case 'string':
      return typeof value === 'string' ? quoteText(value) : null
    case 'int32':
    case 'int64':
      return integerConstant(value, type)
    case 'float32':
    case 'float64':
      if (typeof value !== 'number') return null
      return type === 'float32' ? `CAST('${Math.fround(value)}' AS FLOAT)` : `CAST('${value}' AS DOUBLE)`
    case 'timestamp':
      return typeof value === 'string' ? instantConstant(value) : null
    default:
      return null
  }
}

function integerConstant(value: Literal, type: 'int32' | 'int64'): string | null {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return null
  const exact = BigInt(value)
  if (exact < limits[type].min || exact > limits[type].max) return null
  return `CAST('${exact}' AS ${type === 'int32' ? 'INTEGER' : 'BIGINT'})`
}

function instantConstant(value: string): string | null {
  try {
    return `make_timestamptz(${instantMicros(value)})`
  } catch (error) {
    if (error instanceof InputError) return null
    throw error
  }
}

/** Why the value cannot be one of the type's, or null. */
export function constantProblem(value: Literal, type: FeatureType): string | null {
  if (constantOrNull(value, type) !== null) return null
  return `${typeof value === 'string' ? JSON.stringify(value) : String(value)} is no ${type}`
}

/** @throws IntegrityError where it is no value of the type, which registration refuses. */
export function constant(value: Literal, type: FeatureType): string {
  const sql = constantOrNull(value, type)
  if (sql === null) throw new IntegrityError(`gates: ${String(value)} is no ${type}.`, { type })
  return sql
}

/** Microseconds since the epoch of an instant as `parseInstant` takes it, which itself stops at milliseconds. */
export function instantMicros(instant: string): bigint {
  const fraction = /\.(\d+)/.exec(instant)?.[1] ?? ''
  return BigInt(parseInstant(instant.replace(/\.\d+/, ''))) * 1000n + BigInt(fraction.padEnd(6, '0'))
}
