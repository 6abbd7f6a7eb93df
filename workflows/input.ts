/**
 * Inputs that people type, checked at once and without a validation library (which would triple the bundle).
 * Only the shape is judged here; whether the group exists and the range is due is the first activity's to say.
 */
import { ApplicationFailure } from '@temporalio/workflow'
import type {
  BackfillInput,
  JanitorInput,
  MaterializeInput,
  RefreshInput,
  TrainingInput,
} from './contract.ts'
import { failureTypes } from './names.ts'

/** A search attribute of more than 2 KiB ends a workflow without a word of ours. */
const longestText = 500

type FieldType = 'string' | 'boolean' | 'object' | 'array'

const backfillExample = '{"group": "airport_delays_v1", "from": "2001-01-08", "to": "2001-07-01"}'
const janitorExample = '{} or {"group": "airport_delays_v1", "olderThan": "1d"}'
const trainingExample =
  '{"name": "late_departure", "service": "delay_model_v1", "labels": {"path": "labels.parquet", "time": "date"}}'
const materializeExample = '{"group": "airport_delays_v1"}'

export function checkBackfillInput(input: unknown): BackfillInput {
  const fields = { group: 'string', from: 'string', to: 'string', rewrite: 'boolean' } as const
  checkFields(input, fields, ['group', 'from', 'to'], 'backfill', backfillExample)
  return input as BackfillInput
}

export function checkRefreshInput(input: unknown): RefreshInput {
  checkFields(input, { group: 'string' }, ['group'], 'refresh', '{"group": "airport_delays_v1"}')
  return input as RefreshInput
}

export function checkMaterializeInput(input: unknown): MaterializeInput {
  checkFields(input, { group: 'string', full: 'boolean' }, ['group'], 'materialize', materializeExample)
  return input as MaterializeInput
}

export function checkJanitorInput(input: unknown): JanitorInput {
  checkFields(input, { group: 'string', olderThan: 'string' }, [], 'janitor', janitorExample)
  return input as JanitorInput
}

/** The shape alone; what it says is the first activity's to judge. */
export function checkTrainingInput(input: unknown): TrainingInput {
  const fields: Record<string, FieldType> = {
    ...fieldsOf('string', 'name', 'service', 'asOf', 'format', 'output', 'model'),
    ...fieldsOf(
      'boolean',
      'knowledgeCutoff',
      'strict',
      'allowMixed',
      'fullNames',
      'eventTimestamps',
      'unmatched',
    ),
    ...fieldsOf('object', 'labels', 'snapshots'),
    ...fieldsOf('array', 'features'),
  }
  checkFields(input, fields, ['name', 'labels'], 'buildTrainingSet', trainingExample)
  return input as TrainingInput
}

function checkFields(
  input: unknown,
  fields: Record<string, FieldType>,
  required: readonly string[],
  workflow: string,
  example: string,
): void {
  const refuse = (problem: string): never => {
    throw ApplicationFailure.nonRetryable(
      `${workflow}: ${problem} Expected one JSON object such as ${example}.`,
      failureTypes.input,
    )
  }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return refuse(`the input is ${input === undefined ? 'missing' : JSON.stringify(input)}, not an object.`)
  }
  const given = input as Record<string, unknown>
  for (const name of required) {
    if (given[name] === undefined) refuse(`${JSON.stringify(name)} is missing.`)
  }
  for (const [name, value] of Object.entries(given)) {
    const type = fields[name]
    if (type === undefined)
      refuse(
        `${JSON.stringify(name)} is not a field of the input; those are ${Object.keys(fields).join(', ')}.`,
      )
    if (value !== undefined && typeOf(value) !== type)
      refuse(`${JSON.stringify(name)} is ${JSON.stringify(value)}, not a ${type}.`)
    if (typeof value === 'string' && value.length > longestText)
      refuse(`${JSON.stringify(name)} has ${value.length} characters, more than ${longestText}.`)
  }
}

const fieldsOf = (type: FieldType, ...names: string[]): Record<string, FieldType> =>
  Object.fromEntries(names.map((name) => [name, type]))

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value
}
