/** Sources made of other sources: a SELECT that is usable wherever files are. */
import { z } from 'zod'
import type { FileSource, Source } from './source.ts'
import { checkTimes, sourceTimes } from './sourceTimes.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'

export interface SqlSource extends Omit<FileSource, 'format' | 'path' | 'columns'> {
  readonly format: 'sql'
  /** What the SELECT names as tables. */
  readonly sources: readonly Source[]
  /** Sees every source with its timestamp column as an instant, so the result needs a zone only where it drops it. */
  readonly sql: string
}

const schema = z.strictObject({
  name: identifier,
  description: z.string().optional(),
  sources: z
    .array(z.custom<Source>((value) => (value as Source | undefined)?.kind === 'source', 'must be a source'))
    .min(1, 'name the sources that the SELECT reads'),
  sql: z.string().min(1, 'write a SELECT over the sources'),
  ...sourceTimes,
})

/**
 * A SELECT over other sources by their names. Plans pin the files of all of them.
 *
 * @example
 * sqlSource({ name: 'late_flights', sources: [flights], timestamp: 'date', sql: 'SELECT * FROM flights WHERE delay > 15' })
 */
export function sqlSource(definition: Omit<SqlSource, 'kind' | 'format'>): SqlSource {
  const what = labelOf('source', definition)
  parseDefinition(schema, definition, what)
  const source: SqlSource = Object.freeze({ kind: 'source', format: 'sql', ...definition })
  checkTimes(source, what)
  return source
}

/** The file sources that a source is made of, each once, in the order in which they are first named. */
export function fileSourcesOf(sources: readonly Source[]): FileSource[] {
  const found = new Map<string, FileSource>()
  for (const source of sources) {
    const own = source.format === 'sql' ? fileSourcesOf(source.sources) : [source]
    for (const one of own) if (!found.has(one.name)) found.set(one.name, one)
  }
  return [...found.values()]
}
