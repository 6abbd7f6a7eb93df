/**
 * Sources: files of events, each with a timestamp column.
 *
 * A timestamp column either carries its zone or the source names one (rule 1); which of the two it is shows only in
 * the data, so registration checks it, not this file.
 */
import { z } from 'zod'
import { InputError } from './errors.ts'
import { durationMs, parseInstant, type Duration } from './time.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'

/** A path that is read from the environment where the definitions run, with an optional default. */
export interface EnvPath {
  readonly env: string
  readonly default?: string
}

export type FileFormat = 'parquet' | 'csv' | 'json'

export interface Source {
  readonly kind: 'source'
  readonly name: string
  readonly description?: string
  readonly format: FileFormat
  /** A file, a folder (every file of the format below it) or a pattern with `*`, `**` and `?`. */
  readonly path: string | EnvPath
  /** The column with the time of the event. */
  readonly timestamp: string
  /** IANA name of the zone of a timestamp column that carries none, such as `UTC` or `America/New_York`. */
  readonly timeZone?: string
  /** From when the events are complete; an interval whose windows reach before it is refused. */
  readonly completeFrom?: string
  /** How long events are kept. */
  readonly retention?: Duration
}

export type SourceDefinition = Omit<Source, 'kind' | 'format'>

const knownTimeZone = (zone: string) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}

const check = (read: (text: string) => unknown) => (text: string, context: z.core.$RefinementCtx<string>) => {
  try {
    read(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof InputError ? error.message : String(error) })
  }
}

const schema = z.strictObject({
  name: identifier,
  description: z.string().optional(),
  path: z.union([
    z.string().min(1, 'a path is not empty'),
    z.strictObject({ env: z.string().min(1), default: z.string().min(1).optional() }),
  ]),
  timestamp: z.string().min(1, 'name the column with the time of the event'),
  timeZone: z
    .string()
    .refine(knownTimeZone, "not a time zone; use an IANA name such as 'UTC' or 'America/New_York'")
    .optional(),
  completeFrom: z.string().superRefine(check(parseInstant)).optional(),
  retention: z.string().superRefine(check(durationMs)).optional(),
})

const fileSource =
  (format: FileFormat) =>
  (definition: SourceDefinition): Source => {
    parseDefinition(schema, definition, labelOf('source', definition))
    return Object.freeze({ kind: 'source' as const, format, ...definition })
  }

/** Parquet files. */
export const parquet = fileSource('parquet')
/** CSV files with a header line. */
export const csv = fileSource('csv')
/** JSON files: one object a line, or one array of objects. */
export const json = fileSource('json')

/** A path from the environment: `path: env('FLIGHTS_PATH', './data/flights')`. */
export function env(name: string, fallback?: string): EnvPath {
  return fallback === undefined ? { env: name } : { env: name, default: fallback }
}
