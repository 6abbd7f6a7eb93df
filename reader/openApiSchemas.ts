/**
 * The shapes of questions and answers, as JSON Schema (the dialect of OpenAPI 3.1). Names of features and keys come from
 * definitions, so that they are patterns here and no lists.
 */
import { maxKeyTextBytes } from '../online/index.ts'
import { maxRows } from './body.ts'
import { maxEntities } from './question.ts'

export type Schema = Readonly<Record<string, unknown>>

export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

const text: Schema = { type: 'string' }
const listOf = (items: Schema, more: Schema = {}): Schema => ({ type: 'array', items, ...more })
const mapOf = (additionalProperties: Schema): Schema => ({ type: 'object', additionalProperties })

/** An object with exactly these fields; those in `optional` may be left out. */
function objectOf(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required, additionalProperties: false }
}

/** Whatever a feature may hold, as `online/json.ts` writes it. */
const value: Schema = {
  description:
    'null, a boolean, a number (int64 with all its digits), a string (an instant in UTC, or "NaN", "Infinity" and "-Infinity" of a float), or a list of these.',
  type: ['null', 'boolean', 'number', 'string', 'array'],
  items: { type: ['null', 'boolean', 'number', 'string'] },
}

const status: Schema = { type: 'string', enum: ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE'] }
const eventTimestamp: Schema = { type: ['string', 'null'], examples: ['2001-07-01T01:00:00Z'] }
const instant: Schema = { type: 'string', format: 'date-time' }

/** What every answer says of a group. */
const groupHead = {
  age_seconds: { type: 'number', description: 'Since the last complete load.' },
  stale: { type: 'boolean', description: 'Whether that is longer ago than 1.5 times the cadence.' },
  snapshot_id: text,
}

const groupAnswer = objectOf({
  ...{ feature_group: text, as_of: instant, ...groupHead, keys: listOf(text) },
  results: listOf(
    objectOf({
      entity_id: text,
      keys: mapOf({ type: ['string', 'integer'] }),
      event_timestamp: eventTimestamp,
      features: mapOf(objectOf({ value: ref('Value'), status: ref('Status') })),
    }),
    { description: 'In the order of the question, with duplicates, and misses in their places.' },
  ),
})

const reference: Schema = {
  type: 'string',
  pattern: '^[^:]+:[^:]+$',
  examples: ['airport_delays_v1:mean_delay_24h'],
}

const column = (items: Schema): Schema => listOf(items, { maxItems: maxRows })
const keyColumn = column({ type: ['string', 'integer', 'null'] })

const vectorsQuestion: Schema = {
  ...objectOf(
    {
      service: { type: 'string', description: 'The name of a feature service.' },
      features: listOf(
        {
          anyOf: [
            reference,
            objectOf(
              {
                group: text,
                features: listOf(text),
                as: { type: ['string', 'null'], description: 'The role in which the group is taken.' },
                keys: {
                  ...mapOf(text),
                  description: "The group's keys, by the names that the role gives them.",
                },
              },
              ['as', 'keys'],
            ),
          ],
        },
        { minItems: 1 },
      ),
      entities: { ...mapOf(keyColumn), description: 'Columns of keys, one value a row.' },
      request: {
        ...mapOf(column({})),
        description: 'What features on demand ask for, one value a row. All columns have one length.',
      },
      full_names: {
        type: 'boolean',
        default: false,
        description: 'Call stored features <group>__<feature>.',
      },
    },
    ['service', 'features', 'request', 'full_names'],
  ),
  oneOf: [{ required: ['service'] }, { required: ['features'] }],
}

const vectorsAnswer = objectOf({
  service: { type: ['string', 'null'] },
  as_of: instant,
  groups: listOf(objectOf({ feature_group: text, role: { type: ['string', 'null'] }, ...groupHead })),
  features: listOf(
    objectOf({
      name: text,
      type: text,
      group: { type: ['integer', 'null'], description: 'Its place in groups; null for one on demand.' },
    }),
    { description: "The columns of the vector, in the model's order." },
  ),
  results: listOf(
    objectOf({
      values: listOf(ref('Value')),
      statuses: listOf(ref('Status')),
      event_timestamps: listOf(eventTimestamp),
    }),
    {
      description:
        'One a row: values and statuses in the order of features, event timestamps in that of groups.',
    },
  ),
})

const feastColumn: Schema = { anyOf: [column({}), objectOf({ val: column({}) })] }
const feastQuestion: Schema = {
  type: 'object',
  properties: {
    features: listOf(reference, { minItems: 1 }),
    feature_service: { type: ['string', 'null'] },
    entities: { type: 'object', additionalProperties: feastColumn, minProperties: 1 },
    full_feature_names: { type: 'boolean', default: false },
  },
  required: ['entities'],
  anyOf: [
    { required: ['features'] },
    { required: ['feature_service'], properties: { feature_service: { type: 'string' } } },
  ],
}

const feastAnswer = objectOf({
  metadata: objectOf({ feature_names: listOf(text) }),
  results: listOf(
    objectOf({ values: listOf({}), statuses: listOf(ref('Status')), event_timestamps: listOf(instant) }),
    { description: 'One a column, in the order of feature_names.' },
  ),
})

const errorOf = objectOf({
  code: { type: 'string', description: 'For programs; it stays what it is.' },
  message: { type: 'string', description: 'For people: what is wrong, and what to do.' },
})

const loadedGroup = objectOf(
  {
    feature_group: text,
    loaded_at: { type: ['string', 'null'] },
    age_seconds: { type: 'number' },
    stale: { type: 'boolean' },
  },
  ['age_seconds', 'stale'],
)

export const schemas: Readonly<Record<string, Schema>> = {
  Value: value,
  Status: status,
  GroupAnswer: groupAnswer,
  VectorsQuestion: vectorsQuestion,
  VectorsAnswer: vectorsAnswer,
  FeastQuestion: feastQuestion,
  FeastAnswer: feastAnswer,
  FeastError: { type: 'string', description: 'JSON in a string: module, class and message.' },
  Error: objectOf({ error: errorOf }),
  Health: objectOf({ status: { const: 'ok' }, store: text, online_store: text, now: instant, clock: text }),
  Ready: objectOf({ status: { const: 'ready' }, groups: listOf(loadedGroup) }, ['groups']),
  NotReady: objectOf({ error: errorOf, groups: listOf(loadedGroup) }, ['groups']),
}

/** A key text (`online/key.ts`) that may stand in a list. */
export const entityIds = listOf(
  { type: 'string', pattern: String.raw`^([^\\,]|\\[\\|,e])+$`, maxLength: maxKeyTextBytes },
  { minItems: 1, maxItems: maxEntities },
)

export const featureNames = listOf({ type: 'string', pattern: '^[^,]+$' }, { minItems: 1, uniqueItems: true })
