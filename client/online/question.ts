/**
 * What is asked: which features, in the words of `POST /online`, and one row of keys and request values.
 *
 * Rows of several callers go out together, so each is checked before: a value that the reader would refuse is its own
 * caller's mistake and nobody else's.
 */
import type { AnyInputs, AnyValues } from '../../model/answers.ts'
import { InputError } from '../../model/errors.ts'
import type { ScalarType } from '../../model/featureType.ts'
import { featureColumn, keyColumns, type FeatureGroup, type FeatureSelection } from '../../model/group.ts'
import type { FeatureService } from '../../model/service.ts'

/** A group, some of its features, or all of a model. */
export type Asked<Values = AnyValues, Inputs = AnyInputs> =
  FeatureGroup<Values, Inputs> | FeatureSelection<Values, Inputs> | FeatureService<Values, Inputs>

/** An entity, and what the request brings. A null key finds nothing, as in a training set. */
export type Given<Inputs> = { readonly [Name in keyof Inputs]: Inputs[Name] | null }

interface Column {
  readonly name: string
  readonly type: ScalarType
  /** A key stands among the entities, also where a function wants to see it. */
  readonly isKey: boolean
}

export interface Question {
  /** What sentences call it. */
  readonly label: string
  /** How the body starts. */
  readonly head: { readonly service: string } | { readonly features: readonly object[] }
  /** Equal for equal questions, which may share a request. */
  readonly id: string
  readonly columns: readonly Column[]
  /** What the answer's features are called, in the order of the model's vector. */
  readonly names: readonly string[]
}

/** A row as it is sent, in the order of the question's columns. */
export type Row = readonly (string | number | bigint | boolean | null)[]

const questions = new WeakMap<Asked, Question>()

/** @throws InputError where it is none of what can be asked for */
export function questionOf(asked: Asked): Question {
  const known = questions.get(asked)
  if (known !== undefined) return known
  const question = makeQuestion(asked)
  questions.set(asked, question)
  return question
}

function makeQuestion(asked: Asked): Question {
  if ('kind' in asked && asked.kind === 'feature_service') return ofService(asked)
  if ('kind' in asked && asked.kind === 'feature_group') {
    return ofSelection({ group: asked, features: Object.keys(asked.features) })
  }
  if ('group' in asked) return ofSelection(asked)
  throw new InputError('What is asked for is no feature group, selection of one or feature service.')
}

function ofService({ name, features, onDemand = [] }: FeatureService): Question {
  const selections = [...features, ...onDemand.flatMap(({ reads }) => reads)]
  const columns = new Map(keysOf(selections))
  for (const { request } of onDemand) {
    for (const [column, type] of Object.entries(request)) {
      if (!columns.has(column)) columns.set(column, { name: column, type, isKey: false })
    }
  }
  return {
    label: `feature service ${name}`,
    head: { service: name },
    id: `service ${name}`,
    columns: [...columns.values()],
    names: [...namesOf(features), ...onDemand.flatMap((made) => Object.keys(made.features))],
  }
}

function ofSelection(selection: FeatureSelection): Question {
  const { group, features, role, keys } = selection
  const asked = { group: group.id, features, ...(role === undefined ? {} : { as: role, keys }) }
  return {
    label: `feature group ${group.id}${role === undefined ? '' : ` as ${role}`}`,
    head: { features: [asked] },
    id: JSON.stringify(asked),
    columns: [...keysOf([selection]).values()],
    names: namesOf([selection]),
  }
}

const namesOf = (selections: readonly FeatureSelection[]) =>
  selections.flatMap((selection) => selection.features.map((feature) => featureColumn(selection, feature)))

const keysOf = (selections: readonly FeatureSelection[]): Map<string, Column> =>
  new Map(
    selections.flatMap((selection) =>
      Object.entries(keyColumns(selection)).map(([key, name]) => {
        const type = selection.group.entity.keys[key] ?? 'string'
        return [name, { name, type, isKey: true }] as const
      }),
    ),
  )

/**
 * A row of the question, ready to be sent. Columns that the question does not know are left where they are.
 *
 * @throws InputError that names the question, the column, the value and the cure
 */
export function readRow({ label, columns }: Question, given: Given<AnyInputs>): Row {
  if (typeof given !== 'object' || given === null) {
    throw new InputError(`${label}: ${shown(given)} is no entity. ${asksFor(columns)}`)
  }
  return columns.map((column) => {
    const value = given[column.name]
    if (value === null) return null
    if (value === undefined) {
      throw new InputError(`${label}: ${column.name} is missing. ${asksFor(columns)}`, {
        column: column.name,
      })
    }
    const read = readers[column.type](value)
    if (read !== null && !(column.isKey && isTooLong(read))) return read
    const problem = read === null ? `is no ${column.type}. ${cures[column.type]}` : tooLong
    throw new InputError(`${label}: ${column.name}: ${shown(value)} ${problem}`, { column: column.name })
  })
}

const asksFor = (columns: readonly Column[]) =>
  `Give ${columns.map(({ name, type }) => `${name} (${type})`).join(', ')}; null where there is none.`

/** Of a whole key, as the online store has it; several keys share it, which the reader sees to. */
const longestKeyInBytes = 1024
const tooLong = `is longer than the ${longestKeyInBytes} bytes that a key may have. Use a hash of it.`
const isTooLong = (value: unknown) =>
  typeof value === 'string' &&
  value.length * 3 > longestKeyInBytes &&
  Buffer.byteLength(value) > longestKeyInBytes

const cures: Readonly<Record<ScalarType, string>> = {
  boolean: 'Give true or false.',
  int32: 'Give a whole number within 32 bits.',
  int64: 'Give a bigint within 64 bits, or a whole number that JavaScript holds exactly.',
  float32: 'Give a number.',
  float64: 'Give a number.',
  string: 'Give well-formed text.',
  timestamp: 'Give microseconds since the epoch as a bigint, or a Date.',
}

/** A given value as it is sent; null where it is not of the type. */
const readers: Readonly<Record<ScalarType, (value: unknown) => Row[number]>> = {
  boolean: (value) => (typeof value === 'boolean' ? value : null),
  int32: (value) => (typeof value === 'number' && (value | 0) === value ? value + 0 : null),
  int64: (value) => int64Of(value),
  float32: (value) => (typeof value === 'number' ? Math.fround(value) : null),
  float64: (value) => (typeof value === 'number' ? value : null),
  string: (value) => (typeof value === 'string' && !/\p{Surrogate}/u.test(value) ? value : null),
  timestamp: (value) =>
    value instanceof Date ? microsOf(value) : typeof value === 'bigint' ? int64Of(value) : null,
}

function int64Of(value: unknown): bigint | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : null
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value ? value : null
}

function microsOf(date: Date): bigint | null {
  const ms = date.getTime()
  return Number.isNaN(ms) ? null : BigInt(ms) * 1000n
}

function shown(value: unknown): string {
  if (typeof value !== 'string') return value instanceof Date ? 'an invalid Date' : String(value)
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
}

/** The body of `POST /online`, by column. */
export function bodyOf({ head, columns }: Question, rows: readonly Row[]): object {
  const named = (isKey: boolean) =>
    Object.fromEntries(
      columns.flatMap((column, at) =>
        column.isKey === isKey ? [[column.name, rows.map((row) => row[at] ?? null)]] : [],
      ),
    )
  const request = named(false)
  return {
    ...head,
    entities: named(true),
    ...(Object.keys(request).length === 0 ? {} : { request }),
  }
}
