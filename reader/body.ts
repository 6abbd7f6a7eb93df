/**
 * What `POST /online` is asked: a body, checked by hand, since a validation library would look at every value of it.
 * Values are checked where they are used: keys in `rows.ts`, request values in `requestValues.ts`.
 */
import { InputError } from '../model/index.ts'
import type { Wanted } from './plan.ts'

export const maxRows = 1000

export interface AskedVectors {
  readonly service: string | null
  /** Empty where a service is asked. */
  readonly features: readonly Wanted[]
  readonly fullNames: boolean
  readonly rows: AskedRows
}

/** Columns of values, one value a row. */
export interface AskedRows {
  readonly count: number
  readonly entities: ReadonlyMap<string, readonly unknown[]>
  readonly request: ReadonlyMap<string, readonly unknown[]>
}

const fields = ['service', 'features', 'entities', 'request', 'full_names']
const example =
  '{"service": "delay_model_v1", "entities": {"origin": ["ATL"], "destination": ["JFK"]}, "request": {"distance": [760]}}'

/** @throws InputError that names the field, what is wrong with it, and an example */
export function readVectorsBody(body: unknown): AskedVectors {
  if (!isObject(body)) throw new InputError(`The body is no object. Send one such as ${example}.`)
  for (const field of Object.keys(body)) {
    if (fields.includes(field)) continue
    throw new InputError(`There is no field ${JSON.stringify(field)}. There are ${fields.join(', ')}.`)
  }
  const { service, features, full_names: fullNames = false } = body
  if ((service === undefined) === (features === undefined)) {
    throw new InputError(`Name either a service or a list of features. Such as ${example}.`)
  }
  if (service !== undefined && typeof service !== 'string') {
    throw new InputError(`service: ${shown(service)} is no name. Write the name of a feature service.`)
  }
  if (typeof fullNames !== 'boolean') {
    throw new InputError(`full_names: ${shown(fullNames)} is neither true nor false.`)
  }
  return {
    service: service ?? null,
    fullNames,
    rows: readRows(body),
    features: features === undefined ? [] : readFeatures(features),
  }
}

function readRows({ entities, request = {} }: Readonly<Record<string, unknown>>): AskedRows {
  const columns = { entities: readColumns('entities', entities), request: readColumns('request', request) }
  const first = nextColumn(columns.entities) ?? nextColumn(columns.request)
  if (first === undefined) throw new InputError(`entities has no column. Such as ${example}.`)
  const count = first[1].length
  for (const all of [columns.entities, columns.request]) {
    for (const [name, values] of all) {
      if (values.length === count) continue
      throw new InputError(
        `${first[0]} has ${count} values and ${name} has ${values.length}. Send one value per row in every column, null where there is none.`,
      )
    }
  }
  if (count > maxRows) {
    throw new InputError(`There are ${count} rows, the limit is ${maxRows}. Ask in several requests.`)
  }
  return { count, entities: columns.entities, request: columns.request }
}

type Columns = ReadonlyMap<string, readonly unknown[]>

const nextColumn = (columns: Columns) => columns.entries().next().value

function readColumns(field: string, columns: unknown): Columns {
  if (!isObject(columns)) {
    throw new InputError(`${field} is no object of columns. Such as ${example}.`)
  }
  const read = new Map<string, readonly unknown[]>()
  for (const name of Object.keys(columns)) {
    const values = columns[name]
    if (!Array.isArray(values)) {
      throw new InputError(
        `${field}: ${JSON.stringify(name)} is ${shown(values)}, and not a list. Send one value per row.`,
      )
    }
    read.set(name, values as readonly unknown[])
  }
  return read
}

const featureExample = '"airport_delays_v1:mean_delay_24h"'

function readFeatures(features: unknown): Wanted[] {
  if (Array.isArray(features) && features.length > 0) return features.map(readFeature)
  throw new InputError(`features is no list of names. Write such as [${featureExample}].`)
}

function readFeature(given: unknown): Wanted {
  if (typeof given === 'string') {
    const [, group, feature] = /^([^:]+):([^:]+)$/.exec(given) ?? []
    if (group !== undefined && feature !== undefined) {
      return { group, role: null, keys: {}, features: [feature] }
    }
  } else if (isObject(given)) {
    const { group, features, as: role = null, keys = {}, ...rest } = given
    const isWhole = typeof group === 'string' && Array.isArray(features) && features.every(isText)
    const isRole = role === null || typeof role === 'string'
    const areKeys = isObject(keys) && Object.values(keys).every(isText)
    if (isWhole && isRole && areKeys && Object.keys(rest).length === 0) {
      return { group, role, keys: keys as Record<string, string>, features: features }
    }
  }
  throw new InputError(
    `features: ${shown(given)} names no feature. Write <group>:<feature>, such as ${featureExample}, or {"group", "features", "as", "keys"}.`,
  )
}

const isText = (value: unknown): value is string => typeof value === 'string'

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value of a body as it may be shown in a sentence: short, and never more than a piece of it. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) as
    string | undefined
  const whole = text ?? String(value)
  return whole.length > 60 ? `${whole.slice(0, 60)}…` : whole
}
