/**
 * JSON with one spelling: object keys sorted, undefined left out. What JSON cannot hold is spelled as an object, so
 * that nothing is rounded and no two values share a spelling: `{"int64":"9007199254740993"}`, `{"float64":"NaN"}`.
 */
import { InputError } from '../model/errors.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** The value as plain JSON data, keys in their own order. @throws InputError for functions and symbols. */
export function plainData(value: unknown): Json {
  switch (typeof value) {
    case 'bigint':
      return { int64: String(value) }
    case 'number':
      return Number.isFinite(value) ? value : { float64: String(value) }
    case 'string':
    case 'boolean':
      return value
    case 'object':
      if (value === null) return null
      if (Array.isArray(value)) return value.map(plainData)
      return Object.fromEntries(
        Object.entries(value)
          .filter(([, field]) => field !== undefined)
          .map(([key, field]) => [key, plainData(field)]),
      )
    default:
      throw new InputError(`a ${typeof value} cannot be kept as JSON. Use plain data.`)
  }
}

export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(plainData(value)))
}

function sorted(value: Json): Json {
  if (value === null || typeof value !== 'object') return value
  if (isArray(value)) return value.map(sorted)
  // An object would move keys that look like numbers to the front whatever their order, so that is no second spelling.
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
  return Object.fromEntries(entries.map(([key, field]) => [key, sorted(field)]))
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
