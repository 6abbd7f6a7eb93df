/** Columns of text files whose types the source declares: every value must be one of the type. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { ColumnType, FileSource } from '../model/source.ts'
import { duckdbTypes, type Column } from './columnType.ts'
import { query } from './duckdb.ts'

/**
 * The found columns with their declared types. Values are judged as they are written, because DuckDB would take 1.5 for
 * the integer 2.
 *
 * @param table SQL of the files as a table whose declared columns are text
 * @throws InputError for a column that no file has, and for values that are none of the declared type.
 */
export async function withDeclaredTypes(
  connection: DuckDBConnection,
  { name: source, columns: declared = {} }: FileSource,
  found: readonly Column[],
  table: string,
): Promise<Column[]> {
  for (const [name, type] of Object.entries(declared)) {
    if (!found.some((column) => column.name === name)) {
      throw new InputError(
        `source ${source}: columns: there is no column ${JSON.stringify(name)}. The columns are ${found.map((column) => column.name).join(', ')}.`,
        { source, column: name },
      )
    }
    const column = quoteIdentifier(name)
    const bad = `${column} IS NOT NULL AND NOT ${isOfType(column, type)}`
    const [misfit] = await query(
      connection,
      `SELECT count(*) AS events, min(${column}) AS first FROM ${table} WHERE ${bad}`,
    )
    if (misfit === undefined || misfit['events'] === 0n) continue
    throw new InputError(
      `source ${source}: column ${name} is declared as ${type}, but ${String(misfit['events'])} values are not, such as ${quoteLiteral(String(misfit['first']))}. Correct them, or declare another type.`,
      { source, column: name, type, count: Number(misfit['events']) },
    )
  }
  return found.map(({ name, type }) => {
    const declaredType = Object.hasOwn(declared, name) ? declared[name] : undefined
    return { name, type: declaredType === undefined ? type : duckdbTypes[declaredType] }
  })
}

function isOfType(column: string, type: ColumnType): string {
  const fits = `TRY_CAST(${column} AS ${duckdbTypes[type]}) IS NOT NULL`
  switch (type) {
    case 'string':
      return '(true)'
    case 'boolean':
      return `(lower(${column}) IN ('true', 'false'))`
    case 'int32':
    case 'int64':
      return `(regexp_full_match(${column}, '[+-]?[0-9]+') AND ${fits})`
    case 'float32':
    case 'float64':
      return `(${fits})`
  }
}
