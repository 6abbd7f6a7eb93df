/**
 * Conditions in SQL: `sql("lower(city) = 'rome'")`.
 *
 * Each is a column of the events, computed where nothing but the source's own columns has a name, so that no text of a
 * definition can meet a name of the compiler's. Which columns it reads is found by looking for their names in it; that
 * may find one too many, never one too few, and DuckDB's binder has the last word.
 */
import { createHash } from 'node:crypto'
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import { sqlTextsOf } from '../model/condition.ts'
import { InputError } from '../model/errors.ts'
import type { AggregateFeature } from '../model/feature.ts'
import { aggregatesOf, type FeatureGroup } from '../model/group.ts'
import type { Column } from './columnType.ts'
import { selectEvents, type EventColumn, type SourceRelation } from './source.ts'
import type { EventRange } from './eventTime.ts'
import { describeTable, judgeSql } from './sqlText.ts'

/** What the condition's column is called. */
export const sqlColumn = (text: string) => `s_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`

export const sqlTextsOfFeature = ({ condition, where }: AggregateFeature): string[] =>
  [condition, where].flatMap((one) => (one === null ? [] : sqlTextsOf(one)))

/** Every text of SQL among the conditions of a group of aggregates. */
export const sqlTextsOfGroup = (group: FeatureGroup): string[] =>
  Object.values(aggregatesOf(group)).flatMap(sqlTextsOfFeature)

/** Those of a source's columns whose name stands in the text. */
export function columnsMentioned(text: string, columns: readonly Column[]): string[] {
  const within = text.toLowerCase()
  return columns.map(({ name }) => name).filter((name) => mentions(within, name.toLowerCase()))
}

function mentions(text: string, name: string): boolean {
  const written = name.replaceAll('"', '""')
  const isPartOfName = (character: string | undefined) =>
    character !== undefined && /[\w\u0080-\uffff]/.test(character)
  for (let at = text.indexOf(written); at >= 0; at = text.indexOf(written, at + 1)) {
    const [before, after] = [text[at - 1], text[at + written.length]]
    if (
      !(isPartOfName(before) && isPartOfName(name[0])) &&
      !(isPartOfName(after) && isPartOfName(name.at(-1)))
    )
      return true
  }
  return false
}

/** Events as `selectEvents` gives them, with a column for each condition. */
export function selectWithConditions(
  relation: SourceRelation,
  columns: readonly EventColumn[],
  texts: readonly string[],
  range?: EventRange,
): string {
  const events = selectEvents(relation, columns, range)
  const asked = [...new Set(texts)]
  if (asked.length === 0) return events
  const times = relation.arrival === null ? ['event_us'] : ['event_us', 'arrival_us']
  const packed = [...times, ...columns.map(({ as }) => as)].map((name) => `${name} := ${name}`)
  const mentioned = new Set(asked.flatMap((text) => columnsMentioned(text, relation.columns)))
  const named = columns
    .filter(({ name, as }) => as.startsWith('c') && mentioned.has(name))
    .map(({ name, as }) => `${as} AS ${quoteIdentifier(name)}`)
  const conditions = asked.map((text) => `(${text}\n) AS ${sqlColumn(text)}`)
  return `SELECT unnest("asof event"), ${conditions.join(', ')}
FROM (SELECT ${[`struct_pack(${packed.join(', ')}) AS "asof event"`, ...named].join(', ')} FROM (${events}))`
}

/**
 * Asks DuckDB about each condition of a feature, where its columns are the only names.
 *
 * @throws InputError, without the feature's name, for text that is not one condition on one row and on nothing else.
 */
export async function checkSqlConditions(
  connection: DuckDBConnection,
  relation: SourceRelation,
  texts: readonly string[],
): Promise<void> {
  for (const text of texts) {
    const what = `sql(${JSON.stringify(text)})`
    await judgeSql(connection, `SELECT (${text}\n)`, { what, tables: [], parameters: [] })
    const mentioned = columnsMentioned(text, relation.columns)
    const events = selectEvents(
      relation,
      mentioned.map((name) => ({ name, as: quoteIdentifier(name) })),
    )
    // A WHERE takes no windows and no aggregates, which would see more than the row.
    const row = `(SELECT ${mentioned.map(quoteIdentifier).join(', ') || '1'} FROM (${events}))`
    const [described, ...more] = await describeTable(
      connection,
      what,
      `(SELECT (${text}\n) AS met FROM ${row} WHERE (${text}\n))`,
    )
    if (described?.type !== 'BOOLEAN' || more.length > 0) {
      throw new InputError(`${what}: it is ${described?.type}, not a condition. Compare it with something.`, {
        sql: text,
      })
    }
  }
}
