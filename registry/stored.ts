/** Stored values back into the model's: integers exactly, JSON as data, or an error that names the column. */
import { IntegrityError } from '../model/errors.ts'
import type { StoredInteger } from './tables.ts'

/** @throws IntegrityError where the integer does not fit a JavaScript number. */
export function readInteger(stored: StoredInteger, column: string): number {
  const value = Number(stored)
  if (!Number.isSafeInteger(value)) {
    throw new IntegrityError(
      `registry: ${column} holds ${stored}, which is no whole number that JavaScript can hold. Restore the registry from a copy.`,
      { column, value: String(stored) },
    )
  }
  return value
}

export function readNullableInteger(stored: StoredInteger | null, column: string): number | null {
  return stored === null ? null : readInteger(stored, column)
}

/** @throws IntegrityError where the text is not JSON. */
export function readJson(stored: string, column: string): unknown {
  try {
    return JSON.parse(stored)
  } catch (cause) {
    throw new IntegrityError(
      `registry: ${column} holds text that is not JSON. Restore the registry from a copy.`,
      { column },
      { cause },
    )
  }
}
