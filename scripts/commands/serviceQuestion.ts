/**
 * A service asked on the command line: `origin=ATL,JFK distance=760,760`, a column each, one value a row. `\,` is a comma
 * in a value, `\\` a backslash, `\e` the empty text; nothing at all is null. What a value has to be is the reader's to say.
 */
import {
  InputError,
  keyColumns,
  type FeatureSelection,
  type FeatureService,
  type ScalarType,
} from '../../model/index.ts'
import { splitKeyTexts } from '../../online/index.ts'

export interface ServiceQuestion {
  readonly service: string
  readonly entities: Readonly<Record<string, unknown[]>>
  readonly request: Readonly<Record<string, unknown[]>>
}

export const isColumn = (text: string): boolean => /^[A-Za-z_]\w*=/.test(text)

export interface AskedColumn {
  readonly name: string
  /** Null where nothing stands. */
  readonly values: readonly (string | null)[]
}

export function readColumn(text: string): AskedColumn {
  const [name = ''] = text.split('=', 1)
  const values = splitKeyTexts(text.slice(name.length + 1))
  return { name, values: values.map(readValue) }
}

const readValue = (text: string) =>
  text === '' ? null : text === '\\e' ? '' : text.replace(/\\([^])/g, '$1')

/** @throws InputError for a column that the service does not have, or has been given twice */
export function questionOf(service: FeatureService, asked: readonly string[]): ServiceQuestion {
  const types = columnTypes(service)
  const entities: Record<string, unknown[]> = {}
  const request: Record<string, unknown[]> = {}
  for (const { name, values } of asked.map(readColumn)) {
    const type = types.keys.get(name) ?? types.request.get(name)
    if (type === undefined) {
      throw new InputError(
        `${service.name} has no column ${JSON.stringify(name)}. It is asked by ${namesOf(service).join(', ')}.`,
        { column: name },
      )
    }
    const column = types.keys.has(name) ? entities : request
    if (Object.hasOwn(column, name)) {
      throw new InputError(`${name} is there twice. Join its values with commas.`, { column: name })
    }
    column[name] = values.map((value) => (value === null ? null : typed(type, value)))
  }
  return { service: service.name, entities, request }
}

/** How the service is asked, for whoever asked it otherwise. */
export const exampleOf = (service: FeatureService): string =>
  `asof get ${service.name} ${namesOf(service)
    .map((name) => `${name}=…`)
    .join(' ')}`

const namesOf = (service: FeatureService): string[] => {
  const { keys, request } = columnTypes(service)
  return [...new Set([...keys.keys(), ...request.keys()])]
}

interface ColumnTypes {
  readonly keys: ReadonlyMap<string, ScalarType>
  readonly request: ReadonlyMap<string, ScalarType>
}

function columnTypes({ features, onDemand = [] }: FeatureService): ColumnTypes {
  const selections: FeatureSelection[] = [...features, ...onDemand.flatMap(({ reads }) => reads)]
  return {
    keys: new Map(
      selections.flatMap((selection) => {
        const types = selection.group.entity.keys
        return Object.entries(keyColumns(selection)).map(
          ([key, column]) => [column, types[key] ?? 'string'] as const,
        )
      }),
    ),
    request: new Map(onDemand.flatMap(({ request }) => Object.entries(request))),
  }
}

/** What cannot be one of the type goes as the text that it is, and the reader says what it should have been. */
function typed(type: ScalarType, text: string): unknown {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (type === 'int32' || type === 'float32' || type === 'float64')
    return isNumber(text) ? Number(text) : text
  // int64 goes as its digits, all of them.
  return text
}

const isNumber = (text: string) => /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)
