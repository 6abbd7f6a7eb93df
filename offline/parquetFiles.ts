/** Parquet files of a source: their columns, and SQL that reads them as one table. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { FileSource } from '../model/source.ts'
import { commonType, type Column } from './columnType.ts'
import { query, type Row } from './duckdb.ts'
import type { SourceFile } from './sourceFiles.ts'

export const listOf = (files: readonly SourceFile[]) =>
  `[${files.map(({ path }) => quoteLiteral(path)).join(', ')}]`

/** The columns are those inside the files; names of folders add none. */
export const parquetTable = (files: readonly SourceFile[]) =>
  `read_parquet(${listOf(files)}, union_by_name = true, hive_partitioning = false)`

/**
 * The columns of all files together, each with the widest type that it has in any.
 *
 * @throws InputError for a file that is not whole, a column whose types clash, a file without the timestamp column.
 */
export async function parquetColumns(
  connection: DuckDBConnection,
  source: FileSource,
  files: readonly SourceFile[],
): Promise<Column[]> {
  const found = new Map<string, { type: string; file: string }>()
  for (const { path, columns } of await fileColumns(connection, source, files)) {
    if (!columns.some(({ name }) => name === source.timestamp)) {
      throw new InputError(
        `source ${source.name}: ${path} has no timestamp column ${JSON.stringify(source.timestamp)}. Its columns are ${columns.map(({ name }) => name).join(', ')}.`,
        { source: source.name, path, column: source.timestamp },
      )
    }
    for (const { name, type } of columns) {
      const there = found.get(name)
      const common = there === undefined ? type : commonType(there.type, type)
      if (common === null) throw clash(source, name, there?.type, there?.file, type, path)
      if (there?.type !== common) found.set(name, { type: common, file: path })
    }
  }
  return [...found].map(([name, { type }]) => ({ name, type }))
}

const clash = (
  source: FileSource,
  name: string,
  one?: string,
  file?: string,
  other?: string,
  path?: string,
) =>
  new InputError(
    `source ${source.name}: column ${name} is ${one} in ${file} but ${other} in ${path}. Write it with one type in all files.`,
    { source: source.name, column: name },
  )

interface FileColumns {
  readonly path: string
  readonly columns: Column[]
}

async function fileColumns(
  connection: DuckDBConnection,
  source: FileSource,
  files: readonly SourceFile[],
): Promise<FileColumns[]> {
  const schemaOf = (some: readonly SourceFile[]) =>
    query(
      connection,
      `SELECT file_name, name, num_children, converted_type, duckdb_type FROM parquet_schema(${listOf(some)})`,
    )
  try {
    return columnsByFile(await schemaOf(files), files)
  } catch (error) {
    for (const file of files) {
      await schemaOf([file]).catch((cause: unknown) => {
        throw new InputError(
          `source ${source.name}: ${file.path} is not a whole Parquet file (${reasonOf(cause)}). Write it again or remove it.`,
          { source: source.name, path: file.path },
          { cause },
        )
      })
    }
    throw error
  }
}

const reasonOf = (error: unknown) =>
  error instanceof Error ? error.message.replace(/^DuckDB: [\w ]+: /, '') : ''

/** The rows of one file come in their order; DuckDB's threads bring the files in any. */
function columnsByFile(schema: readonly Row[], files: readonly SourceFile[]): FileColumns[] {
  const rowsOf = new Map<string, Row[]>(files.map(({ path }) => [path, []]))
  for (const row of schema) rowsOf.get(String(row['file_name']))?.push(row)
  return [...rowsOf].map(([path, rows]) => ({ path, columns: topLevel(rows) }))
}

/** A schema lists its tree depth first, the root before its columns; only the root's own children are columns. */
function topLevel([root, ...schema]: readonly Row[]): Column[] {
  const columns: Column[] = []
  /** Children still to come, of each level that is open. */
  const open = [childrenOf(root)]
  for (const [index, row] of schema.entries()) {
    while (open.at(-1) === 0) open.pop()
    const children = childrenOf(row)
    if (open.length === 1) {
      const type = children > 0 ? nestedType(schema.slice(index, index + 3)) : String(row['duckdb_type'])
      columns.push({ name: String(row['name']), type })
    }
    open.push((open.pop() ?? 0) - 1)
    if (children > 0) open.push(children)
  }
  return columns
}

const childrenOf = (row: Row | undefined) => Number(row?.['num_children'] ?? 0)

/** A list of values is a column of a repeated group of one element; what is nested otherwise no feature can hold. */
function nestedType([column, group, element]: readonly Row[]): string {
  const isList = column?.['converted_type'] === 'LIST' && Number(group?.['num_children']) === 1
  return isList && element?.['duckdb_type'] ? `${String(element['duckdb_type'])}[]` : 'nested'
}
