/** One call of a map group's function: its input is frozen, its output checked, its errors say where they come from. */
import type { DuckDBValue } from '@duckdb/node-api'
import type { BoundGroup } from '../model/bound.ts'
import type { MapInput } from '../model/compute.ts'
import { InputError } from '../model/errors.ts'
import { formatInstant } from '../model/time.ts'
import { mapOf } from './mapEvents.ts'
import { mapValue } from './mapValue.ts'

/**
 * The values of the features, in the order of the definition.
 *
 * @throws InputError that names the group, the entity and the interval for what the function throws, and the feature and
 * the value for one that is not of its type.
 */
export function runMap({ group, features }: BoundGroup, input: MapInput): DuckDBValue[] {
  const where = `feature group ${group.id}: the function for ${shown(input.key)} at ${formatInstant(input.at)}`
  const context = { group: group.id, entity: shown(input.key) }
  let result: unknown
  try {
    result = mapOf(group).map(Object.freeze({ ...input, events: Object.freeze([...input.events]) }))
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause)
    throw new InputError(`${where} threw: ${said}`, context, { cause })
  }
  if (typeof result !== 'object' || result === null || Array.isArray(result) || 'then' in result) {
    const what =
      typeof result === 'object' && result !== null && 'then' in result ? 'a promise' : shown(result)
    throw new InputError(`${where} returned ${what}. Return an object of features, at once.`, context)
  }
  const values = result as Readonly<Record<string, unknown>>
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(group.features, name))
  if (unknown !== undefined) {
    throw new InputError(
      `${where} returned ${unknown}, which is no feature of the group. It has ${features.map(({ name }) => name).join(', ')}.`,
      { ...context, feature: unknown },
    )
  }
  return features.map(({ name, type }) => {
    const value = mapValue(type, values[name])
    if (value !== undefined) return value
    throw new InputError(`${where} returned ${name} = ${shown(values[name])}, which is no ${type}.`, {
      ...context,
      feature: name,
    })
  })
}

/** As JSON, where bigints are numbers and what JSON leaves out has its own text. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'bigint' || (typeof one === 'number' && !Number.isFinite(one)) ? String(one) : one,
  ) as string | undefined
  return text ?? String(value)
}
