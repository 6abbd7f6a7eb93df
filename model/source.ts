/**
 * Sources: files of events, each with a timestamp column.
 *
 * A timestamp column either carries its zone or the source names one (rule 1); which of the two it is shows only in
 * the data, so registration checks it, not this file.
 *
 * Where clocks change, some local times do not exist (02:30 on the night they go forward) and some exist twice (01:30 on
 * the night they go back). A time that does not exist is refused, with a count and the first one, because it usually
 * says that the zone is the wrong one; `nonexistent: 'shift-forward'` reads it as if the clock had not changed yet
 * (02:30 becomes 03:30). One that exists twice is taken as the later of the two, so that no event is seen before it
 * happened; `ambiguous: 'earlier'` and `'refuse'` say otherwise.
 */
import { z } from 'zod'
import { InputError } from './errors.ts'
import { checkTimes, sourceTimes } from './sourceTimes.ts'
import type { SqlSource } from './sqlSource.ts'
import type { Duration } from './time.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'

/** A path that is read from the environment where the definitions run, with an optional default. */
export interface EnvPath {
  readonly env: string
  readonly default?: string
}

export type FileFormat = 'parquet' | 'csv' | 'json'

/** What a column of a text file can be declared as. */
export const columnTypes = ['boolean', 'int32', 'int64', 'float32', 'float64', 'string'] as const
export type ColumnType = (typeof columnTypes)[number]

/** Where events come from: files, or a SELECT over other sources. */
export type Source = FileSource | SqlSource

export interface FileSource {
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
  /** What becomes of a local time that its zone skips; refused unless it says otherwise. */
  readonly nonexistent?: 'refuse' | 'shift-forward'
  /** Which of the two a local time is that its zone has twice; the later unless it says otherwise. */
  readonly ambiguous?: 'earlier' | 'later' | 'refuse'
  /**
   * The column with the time at which the event arrived, an instant by the same rules as the timestamp. With it a row of
   * history sees only what had arrived by its created timestamp; without it hindsight is possible (rule 6).
   * Meant for the few events that come late: what always comes late belongs into the group's `availableAfter`.
   */
  readonly arrival?: string
  /** Types of columns of text files, which are otherwise found by looking at every value. */
  readonly columns?: Readonly<Record<string, ColumnType>>
  /** From when the events are complete; an interval whose windows reach before it is refused. */
  readonly completeFrom?: string
  /** How long events are kept. */
  readonly retention?: Duration
}

export type TextSourceDefinition = Omit<FileSource, 'kind' | 'format'>
/** Parquet says the types of its columns itself. */
export type SourceDefinition = Omit<TextSourceDefinition, 'columns'>

const schema = z.strictObject({
  name: identifier,
  description: z.string().optional(),
  path: z.union([
    z.string().min(1, 'a path is not empty'),
    z.strictObject({ env: z.string().min(1), default: z.string().min(1).optional() }),
  ]),
  columns: z.record(z.string().min(1), z.enum(columnTypes)).optional(),
  ...sourceTimes,
})

const fileSource =
  (format: FileFormat) =>
  (definition: TextSourceDefinition): FileSource => {
    const what = labelOf('source', definition)
    parseDefinition(schema, definition, what)
    const source: FileSource = Object.freeze({ kind: 'source' as const, format, ...definition })
    checkTimes(source, what)
    checkColumns(source, what)
    return source
  }

function checkColumns({ format, timestamp, arrival, columns }: FileSource, what: string): void {
  if (columns === undefined) return
  if (format === 'parquet') {
    throw new InputError(`${what}: columns: Parquet says the types of its columns itself. Leave columns out.`)
  }
  const time = [timestamp, arrival].find((name) => name !== undefined && Object.hasOwn(columns, name))
  if (time === undefined) return
  throw new InputError(`${what}: columns: ${time} is an instant already. Leave it out of columns.`, {
    column: time,
  })
}

/** Parquet files. */
export const parquet: (definition: SourceDefinition) => FileSource = fileSource('parquet')
/** CSV files with a header line. */
export const csv = fileSource('csv')
/** JSON files: one object a line, or one array of objects. */
export const json = fileSource('json')

/** A path from the environment: `path: env('FLIGHTS_PATH', './data/flights')`. */
export function env(name: string, fallback?: string): EnvPath {
  return fallback === undefined ? { env: name } : { env: name, default: fallback }
}

/** Whether history made from the source may see what had not arrived when it was due (rule 6). */
export const hasHindsight = ({ arrival }: Source): boolean => arrival === undefined
