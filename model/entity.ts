/** Entities: what features describe, named by one or more typed join keys. */
import { z } from 'zod'
import { identifier, labelOf, parseDefinition } from './validate.ts'

export const keyTypes = ['string', 'int64', 'int32'] as const
export type KeyType = (typeof keyTypes)[number]

export interface Entity<Keys extends Record<string, KeyType> = Record<string, KeyType>> {
  readonly kind: 'entity'
  readonly name: string
  readonly description?: string
  /** Join keys in the order in which composite keys are written: `ATL` then `JFK` for (origin, destination). */
  readonly keys: Keys
}

const schema = z.strictObject({
  name: identifier,
  description: z.string().optional(),
  keys: z
    .record(identifier, z.enum(keyTypes))
    .refine((keys) => Object.keys(keys).length > 0, 'an entity needs at least one join key'),
})

/**
 * Defines an entity.
 *
 * @example
 * export const route = entity({ name: 'route', keys: { origin: 'string', destination: 'string' } })
 */
export function entity<const Keys extends Record<string, KeyType>>(definition: {
  name: string
  description?: string
  keys: Keys
}): Entity<Keys> {
  parseDefinition(schema, definition, labelOf('entity', definition))
  return Object.freeze({ kind: 'entity' as const, ...definition })
}
