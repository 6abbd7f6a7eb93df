/**
 * SQL that users write: SELECTs over sources by their names.
 *
 * It is judged as DuckDB's own parser reads it, before it runs: one SELECT, of the named sources and nothing else (a file
 * that a plan does not pin could change under a run), of functions whose answers do not depend on the moment.
 */
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { InputError } from '../model/errors.ts'
import type { Column } from './columnType.ts'
import { query } from './duckdb.ts'

export interface NamedSelect {
  readonly name: string
  readonly select: string
}

/** The users' SELECT over its tables, as a table. */
export function sqlOver(tables: readonly NamedSelect[], sql: string): string {
  const named = tables.map(({ name, select }) => `${quoteIdentifier(name)} AS (${select})`)
  return `(WITH ${named.join(',\n')}\nSELECT * FROM (\n${sql}\n))`
}

/** The columns of a table as DuckDB's binder finds them. @throws InputError with what it says of the SQL. */
export async function describeTable(
  connection: DuckDBConnection,
  what: string,
  table: string,
  parameters?: Record<string, DuckDBValue>,
): Promise<Column[]> {
  const describe = `SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${table})`
  const rows = await query(connection, describe, undefined, parameters).catch((cause: unknown) => {
    const said = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    throw new InputError(`${what}: ${said.replace(/^DuckDB: /, '')}`, {}, { cause })
  })
  return rows.map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) }))
}

export interface SqlRules {
  /** `source late_flights`, as errors name it. */
  readonly what: string
  readonly tables: readonly string[]
  /** Parameters that the SQL may name, without their `$`. */
  readonly parameters: readonly string[]
}

/** Table functions that make rows of their arguments alone. */
const pureTableFunctions = ['range', 'generate_series', 'unnest', 'repeat', 'json_each', 'json_tree']
/** Words that SQL reads as calls where no column has their name. */
const callsWithoutBrackets = [
  'current_date',
  'current_time',
  'current_timestamp',
  'localtime',
  'localtimestamp',
  'current_user',
  'session_user',
  'user',
]
/** What depends on settings of the connection or hides SQL from this check. */
const hidden = ['current_setting', 'getvariable', 'getenv', 'query', 'query_table']

/**
 * @returns the parameters that the SQL names
 * @throws InputError that says what is refused
 */
export async function judgeSql(
  connection: DuckDBConnection,
  sql: string,
  { what, tables, parameters }: SqlRules,
): Promise<string[]> {
  const refuse = (problem: string): never => {
    throw new InputError(`${what}: ${problem}`, { sql })
  }
  const tree = await parsed(connection, sql, refuse)
  const nodes = [...nodesOf(tree)]
  const known = new Set([...tables, ...nodes.flatMap(commonTables)].map((name) => name.toLowerCase()))
  const unstable = await unstableFunctions(connection)
  for (const node of nodes) {
    const table = node['type'] === 'BASE_TABLE' ? tableName(node) : null
    if (table !== null && !known.has(table.toLowerCase())) {
      refuse(
        `the SQL reads ${table}, which is none of its sources (${tables.join(', ')}). Add it to sources.`,
      )
    }
    if (node['type'] === 'TABLE_FUNCTION' && !pureTableFunctions.includes(calledBy(node['function']))) {
      refuse(
        `the SQL reads ${calledBy(node['function'])}(…) itself, which no plan can pin. Define a source and name it in sources.`,
      )
    }
    if (isSampled(node)) refuse('the SQL takes a sample, another one at every run. Leave TABLESAMPLE out.')
    const called = calledBy(node)
    if (unstable.has(called)) {
      refuse(
        `the SQL calls ${called}, whose answer changes from run to run. ${parameters.length === 0 ? 'Leave it out' : "Use the interval's bounds instead"}.`,
      )
    }
    if (node['type'] === 'VALUE_PARAMETER' && !parameters.includes(String(node['identifier']))) {
      const offered = parameters.map((name) => `$${name}`).join(' and ') || 'none'
      refuse(`the SQL names the parameter $${String(node['identifier'])}; there is ${offered}.`)
    }
  }
  return parameters.filter((name) => nodes.some(({ identifier }) => identifier === name))
}

type Node = Readonly<Record<string, unknown>>

async function parsed(
  connection: DuckDBConnection,
  sql: string,
  refuse: (problem: string) => never,
): Promise<unknown> {
  const [row] = await query(connection, `SELECT json_serialize_sql(${quoteLiteral(sql)}) AS tree`)
  const tree = JSON.parse(String(row?.['tree'])) as Node
  if (tree['error'] === true)
    refuse(`the SQL is no SELECT that DuckDB can read: ${String(tree['error_message'])}`)
  const statements = tree['statements']
  if (!Array.isArray(statements) || statements.length !== 1)
    refuse('the SQL is not one SELECT. Write just one.')
  return tree
}

function* nodesOf(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Node
  for (const child of Object.values(value)) yield* nodesOf(child)
}

/** Names of a node's WITH. */
function commonTables({ cte_map: named }: Node): string[] {
  const entries = (named as { map?: { key?: unknown }[] } | undefined)?.map ?? []
  return entries.map(({ key }) => String(key))
}

const tableName = ({ catalog_name: catalog, schema_name: schema, table_name: table }: Node) =>
  [catalog, schema, table].filter((part) => typeof part === 'string' && part !== '').join('.')

const isSampled = ({ sample }: Node) => sample !== undefined && sample !== null

/** The function that a node calls, in lower case; empty for any other node. */
function calledBy(node: unknown): string {
  const { function_name: called, type, column_names: names } = node as Node
  if (typeof called === 'string') return called.toLowerCase()
  const name = type === 'COLUMN_REF' && Array.isArray(names) && names.length === 1 ? String(names[0]) : ''
  return callsWithoutBrackets.includes(name.toLowerCase()) ? name.toLowerCase() : ''
}

/** As DuckDB itself says of its functions. */
async function unstableFunctions(connection: DuckDBConnection): Promise<Set<string>> {
  const rows = await query(
    connection,
    "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE stability <> 'CONSISTENT' AND function_name <> 'error'",
  )
  return new Set([...rows.map(({ name }) => String(name)), ...callsWithoutBrackets, ...hidden])
}
