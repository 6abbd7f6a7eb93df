/** How definitions are checked when they are made: one schema each, one sentence per mistake. */
import { z } from 'zod'
import { InputError } from './errors.ts'

/** Names of entities, sources, groups, features and keys: they become column, table and key names everywhere. */
export const identifier = z
  .string()
  .regex(
    /^[a-z][a-z0-9_]{0,62}$/,
    'a name is made of lower-case letters, digits and underscores, starts with a letter and has at most 63 characters',
  )

/** `entity airport`, as errors name a definition that may not even be an object. */
export function labelOf(kind: string, definition: unknown): string {
  const name: unknown =
    typeof definition === 'object' && definition !== null && 'name' in definition
      ? definition.name
      : undefined
  return `${kind} ${typeof name === 'string' ? name : name === undefined ? 'without a name' : JSON.stringify(name)}`
}

/** Parses a definition or throws an InputError that names the thing, the field and the value. */
export function parseDefinition<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const sentences = result.error.issues.slice(0, 5).map((issue) => {
    const field = issue.path.map(String).join('.')
    const given = issue.path.reduce<unknown>(
      (at, key) =>
        at === null || typeof at !== 'object' ? undefined : (at as Record<PropertyKey, unknown>)[key],
      value,
    )
    const shown = given === undefined || typeof given === 'object' ? '' : ` (given: ${JSON.stringify(given)})`
    const message =
      issue.code === 'invalid_key' ? issue.issues.map((one) => one.message).join(', ') : issue.message
    return `${field ? `${field}: ` : ''}${message}${shown}`
  })
  throw new InputError(`${what}: ${sentences.join('; ')}`, { thing: what })
}
