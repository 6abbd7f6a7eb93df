/**
 * What a person asks a training set for: labels, features and how. Plain JSON, so that it can be typed into the Temporal UI.
 *
 * @example
 * { "name": "late_departure", "service": "delay_model_v1", "labels": { "path": "labels.parquet", "time": "date" } }
 */
import { z } from 'zod'
import { columnTypes } from './source.ts'
import { InputError } from './errors.ts'
import { identifier } from './validate.ts'

const text = z.string().min(1)
const columns = z.record(text, z.enum(columnTypes)).optional()
const labelFields = {
  /** The column with the label's time; a label sees what was served at that instant. */
  time: text,
  /** IANA name of the zone of times that carry none. */
  timeZone: text.optional(),
  nonexistent: z.enum(['refuse', 'shift-forward']).optional(),
  ambiguous: z.enum(['earlier', 'later', 'refuse']).optional(),
  /** Label columns by the entity key or the service's column that they stand for, where their names differ. */
  keys: z.record(text, text).optional(),
}

const fileLabels = z.strictObject({
  /** A file, a folder or a pattern; by its ending Parquet, CSV or JSON, unless `format` says. */
  path: text,
  format: z.enum(['parquet', 'csv', 'json']).optional(),
  columns,
  ...labelFields,
})
const sqlLabels = z.strictObject({
  /** A SELECT over registered sources. Give it an ORDER BY: the labels' order is the set's. */
  sql: text,
  sources: z.array(text).min(1, 'name the sources that the SELECT reads'),
  ...labelFields,
})
const inlineLabels = z.strictObject({
  /** Rows as JSON objects, for small sets; larger ones come as files. */
  rows: z.array(z.record(text, z.union([z.string(), z.number(), z.boolean(), z.null()]))),
  columns,
  ...labelFields,
})
const entityLabels = z.strictObject({
  /** A scoring set: every entity of this group of which a row was known by the instant, once, in the order of its keys. */
  entitiesOf: text,
  /** The instant of all of them; now, on the store's clock, unless given. */
  at: text.optional(),
})

export type FileLabels = z.infer<typeof fileLabels>
export type SqlLabels = z.infer<typeof sqlLabels>
export type InlineLabels = z.infer<typeof inlineLabels>
export type EntityLabels = z.infer<typeof entityLabels>
export type LabelsRequest = FileLabels | SqlLabels | InlineLabels | EntityLabels

const requestedFeatures = z.strictObject({
  group: text,
  features: z.array(text).min(1),
  /** The group under other keys, as `group.as(role, keys)` in a service. */
  as: identifier.optional(),
  keys: z.record(text, text).optional(),
})

const schema = z.strictObject({
  /** What the set is for; part of its id. */
  name: identifier,
  labels: z.unknown(),
  /** A registered feature service … */
  service: text.optional(),
  /** … or features of groups: `airport_delays_v1:mean_delay_24h`, or objects. */
  features: z
    .array(z.union([text, requestedFeatures]))
    .min(1)
    .optional(),
  /** On unless false: a label sees only what had been loaded into the online stores by its time. */
  knowledgeCutoff: z.boolean().optional(),
  /** The tables as they stood at this instant. */
  asOf: text.optional(),
  /** The tables at these snapshots, by group. */
  snapshots: z.record(text, z.string().regex(/^\d{1,19}$/, 'not a snapshot id')).optional(),
  /** Refuse where intervals in the labels' range were never published. */
  strict: z.boolean().optional(),
  /** Accept intervals that were computed by another definition than the registered one. */
  allowMixed: z.boolean().optional(),
  /** Call features `<group>__<feature>`. */
  fullNames: z.boolean().optional(),
  /** Beside each group's features their event timestamp and age. */
  eventTimestamps: z.boolean().optional(),
  /** Also write which labels found nothing, by group. */
  unmatched: z.boolean().optional(),
  /** Parquet, unless Arrow IPC files are asked for; the content hash is the same. */
  format: z.enum(['parquet', 'arrow']).optional(),
  /** A folder for the result, which must not be there yet; the store's own unless given. */
  output: text.optional(),
  /** The model that is trained, for the record of who uses which feature. */
  model: text.optional(),
})

export type RequestedFeatures = z.infer<typeof requestedFeatures>
export type TrainingRequest = Omit<z.infer<typeof schema>, 'labels'> & { labels: LabelsRequest }

export const trainingExample =
  '{"name": "late_departure", "service": "delay_model_v1", "labels": {"path": "labels.parquet", "time": "date"}}'

/** @throws InputError that names the field, the value and what was expected */
export function parseTrainingRequest(value: unknown): TrainingRequest {
  const request = parsed(schema, value, 'training set')
  if ((request.service === undefined) === (request.features === undefined)) {
    throw new InputError(
      `training set ${request.name}: name either a service or a list of features. Such as ${trainingExample}.`,
    )
  }
  if (request.asOf !== undefined && request.snapshots !== undefined) {
    throw new InputError(`training set ${request.name}: give either asOf or snapshots, not both.`)
  }
  return { ...request, labels: parseLabels(request.name, request.labels) }
}

const kinds = { path: fileLabels, sql: sqlLabels, rows: inlineLabels, entitiesOf: entityLabels } as const

function parseLabels(name: string, labels: unknown): LabelsRequest {
  const what = `training set ${name}: labels`
  const given = typeof labels === 'object' && labels !== null ? labels : {}
  const kind = (Object.keys(kinds) as (keyof typeof kinds)[]).filter((one) => Object.hasOwn(given, one))
  const [only] = kind
  if (only === undefined || kind.length > 1) {
    throw new InputError(
      `${what}: they have exactly one of path, sql, rows and entitiesOf${kind.length > 1 ? `, not ${kind.join(' and ')}` : ''}. Such as {"path": "labels.parquet", "time": "date"}.`,
    )
  }
  return parsed<LabelsRequest>(kinds[only], labels, what)
}

function parsed<T>(shape: z.ZodType<T>, value: unknown, what: string): T {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  const sentences = result.error.issues.slice(0, 5).map(({ path, message }) => {
    const field = path.map(String).join('.')
    return `${field === '' ? '' : `${field}: `}${message}`
  })
  throw new InputError(`${what}: ${sentences.join('; ')}. Such as ${trainingExample}.`)
}
