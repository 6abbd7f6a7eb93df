/** CSV and JSON files of a source: the types that all their values agree on, and SQL that reads them as one table. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { FileSource } from '../model/source.ts'
import type { Column } from './columnType.ts'
import { withDeclaredTypes } from './declaredColumns.ts'
import { query } from './duckdb.ts'
import { listOf } from './parquetFiles.ts'
import type { SourceFile } from './sourceFiles.ts'

/** Every value as text; a value that is left empty is null. */
export const csvTable = (files: readonly SourceFile[]) =>
  `read_csv(${listOf(files)}, header = true, all_varchar = true, union_by_name = true, hive_partitioning = false)`

/** The type of a column in which no value says anything. */
const noValues = 'NULL'

/** @throws InputError for a file that is no CSV. */
export async function csvColumns(
  connection: DuckDBConnection,
  source: FileSource,
  files: readonly SourceFile[],
): Promise<Column[]> {
  const names = await described(connection, source, files, csvTable(files))
  const counts = names.map(({ name }, index) => {
    const column = quoteIdentifier(name)
    return `count(${column}) AS n${index}, count(*) FILTER (WHERE regexp_full_match(${column}, '[+-]?[0-9]+') AND TRY_CAST(${column} AS BIGINT) IS NOT NULL) AS i${index}, count(TRY_CAST(${column} AS DOUBLE)) AS d${index}, count(*) FILTER (WHERE lower(${column}) IN ('true', 'false')) AS b${index}`
  })
  const [found] = await query(connection, `SELECT ${counts.join(', ')} FROM ${csvTable(files)}`)
  const columns = names.map(({ name }, index) => {
    const all = found?.[`n${index}`]
    const allAre = (what: string) => found?.[`${what}${index}`] === all
    if (all === 0n) return { name, type: noValues }
    return {
      name,
      type: allAre('i') ? 'BIGINT' : allAre('d') ? 'DOUBLE' : allAre('b') ? 'BOOLEAN' : 'VARCHAR',
    }
  })
  return withDeclaredTypes(connection, source, columns, csvTable(files))
}

/** The asked columns as the asked types; an object that lacks one has null there. */
export const jsonTable = (files: readonly SourceFile[], columns: readonly Column[]) =>
  `read_json(${listOf(files)}, hive_partitioning = false, columns = {${columns.map(({ name, type }) => `${quoteLiteral(name)}: ${quoteLiteral(type)}`).join(', ')}})`

/** @throws InputError for a file that is no JSON. */
export async function jsonColumns(
  connection: DuckDBConnection,
  source: FileSource,
  files: readonly SourceFile[],
): Promise<Column[]> {
  const table = `read_json_auto(${listOf(files)}, union_by_name = true, sample_size = -1, maximum_sample_files = 2147483647, hive_partitioning = false)`
  const found = (await described(connection, source, files, table)).map(({ name, type }) => ({
    name,
    type: looksLikeText(type) ? 'VARCHAR' : type === 'JSON' ? noValues : type,
  }))
  const asText = Object.keys(source.columns ?? {}).map((name) => ({ name, type: 'VARCHAR' }))
  // Objects leave out what is null: a declared column may be in none of them yet.
  const absent = asText.filter(({ name }) => !found.some((column) => column.name === name))
  return withDeclaredTypes(connection, source, [...found, ...absent], jsonTable(files, asText))
}

/** JSON has no times: what looks like one is text, and is kept as it is written. */
const looksLikeText = (type: string) => /^(DATE|TIME|UUID)/.test(type)

async function described(
  connection: DuckDBConnection,
  source: FileSource,
  files: readonly SourceFile[],
  table: string,
): Promise<Column[]> {
  try {
    const rows = await query(
      connection,
      `SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${table})`,
    )
    return rows.map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) }))
  } catch (cause) {
    const where = files.length === 1 ? files[0]?.path : `one of ${files.length} files from ${files[0]?.path}`
    throw new InputError(
      `source ${source.name}: ${where} cannot be read as ${source.format}: ${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)}. Correct or remove it.`,
      { source: source.name },
      { cause },
    )
  }
}
