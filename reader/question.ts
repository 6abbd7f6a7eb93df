/** What a request asks for: its query, checked against the group's key columns. */
import { InputError } from '../model/index.ts'
import { parseKeyText, splitKeyTexts, type KeyColumns, type KeyValue } from '../online/index.ts'

export const maxEntities = 1000

export interface Question {
  /** Key texts as they were asked, with duplicates. */
  readonly entityIds: readonly string[]
  /** The same, parsed. */
  readonly keys: readonly (readonly KeyValue[])[]
  /** Undefined asks for all. */
  readonly features: readonly string[] | undefined
}

/** Reads the query of an address. @throws InputError with a sentence that says what was expected. */
export function readQuestion(columns: KeyColumns, address: string): Question {
  const parameters = readQuery(address)
  const list = parameters.get('entity_ids')
  const example = columns.map(({ type }) => (type === 'string' ? 'a' : '1')).join('|')
  if (list === undefined || list === '') {
    throw new InputError(
      `entity_ids is missing. Add ?entity_ids= and 1 to ${maxEntities} ids, joined with commas, such as ${example}: ${columns.map(({ name }) => name).join('|')}.`,
    )
  }
  const entityIds = splitKeyTexts(list)
  if (entityIds.length > maxEntities) {
    throw new InputError(
      `entity_ids holds ${entityIds.length} ids, the limit is ${maxEntities}. Ask in several requests.`,
    )
  }
  const keys = entityIds.map((id, index) => parseEntity(columns, id, index))
  return { entityIds, keys, features: readFeatures(parameters.get('features')) }
}

function parseEntity(columns: KeyColumns, id: string, index: number): KeyValue[] {
  try {
    return parseKeyText(columns, id)
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    throw new InputError(`entity_ids, id ${index + 1}: ${error.message}`, error.context)
  }
}

function readFeatures(list: string | undefined): string[] | undefined {
  if (list === undefined) return undefined
  const names = list.split(',')
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    throw new InputError(`features names ${JSON.stringify(twice)} twice. Name every feature once.`)
  }
  return names
}

const known = ['entity_ids', 'features']

/** Parameters by name; strict, since a misspelt or broken one would answer another question than was asked. */
function readQuery(address: string): Map<string, string> {
  const start = address.indexOf('?')
  const parameters = new Map<string, string>()
  if (start < 0) return parameters
  for (const part of address.slice(start + 1).split('&')) {
    if (part === '') continue
    const [name, ...rest] = part.split('=')
    const parameter = decode(name ?? '')
    if (!known.includes(parameter)) {
      throw new InputError(
        `There is no parameter ${JSON.stringify(parameter)}. There are ${known.join(' and ')}.`,
      )
    }
    if (parameters.has(parameter)) {
      throw new InputError(`${parameter} is there twice. Join its values with commas.`)
    }
    parameters.set(parameter, decode(rest.join('=')))
  }
  return parameters
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new InputError(
      `${JSON.stringify(text.slice(0, 40))} is no percent-encoded UTF-8. Write a percent sign as %25.`,
    )
  }
}
