/**
 * Schemas: made from a list of columns, and said to DuckDB as column types, FIELD_IDS and read_parquet's `schema`.
 *
 *     const schema = icebergSchema([{ name: 'origin', type: 'string', required: true }, { name: 'delay', type: 'double' }])
 *     fieldIds(schema)   // {'origin': 1, 'delay': 2}
 */
import { quoteLiteral } from './duckdb/quote.ts'
import { InvalidInput } from './singleValue.ts'
import type { IcebergType, ListType, NestedField, PrimitiveType, Schema } from './types.ts'

export interface Column {
  readonly name: string
  readonly type: PrimitiveType | Omit<ListType, 'element-id'>
  /** Whether null is refused; not by default. */
  readonly required?: boolean
  readonly doc?: string
  /** Whether the column is one of those that identify a row. */
  readonly identifier?: boolean
}

/** A schema with fresh ids: 1, 2, … for the columns in order, then one for each list's element. */
export function icebergSchema(columns: readonly Column[], schemaId = 0): Schema {
  refuseEqualNames(columns.map(({ name }) => name))
  let lastId = columns.length
  const fields = columns.map(({ name, type, required = false, doc }, index): NestedField => {
    const withId: IcebergType = typeof type === 'string' ? type : { ...type, 'element-id': ++lastId }
    return { id: index + 1, name, required, type: withId, ...(doc === undefined ? {} : { doc }) }
  })
  const identifiers = fields.filter((_, index) => columns[index]?.identifier).map((field) => field.id)
  return {
    type: 'struct',
    'schema-id': schemaId,
    fields,
    ...(identifiers.length > 0 ? { 'identifier-field-ids': identifiers } : {}),
  }
}

/** DuckDB does not tell `A` from `a`. */
function refuseEqualNames(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name.toLowerCase())) {
      throw new InvalidInput(
        `Column ${JSON.stringify(name)} is named twice. Names must differ in more than case.`,
      )
    }
    seen.add(name.toLowerCase())
  }
}

/** The column of that name; an error names those that exist. */
export function fieldNamed(schema: Schema, name: string): NestedField {
  const field = schema.fields.find((candidate) => candidate.name === name)
  if (field) return field
  const names = schema.fields.map((candidate) => candidate.name).join(', ')
  throw new InvalidInput(`There is no column ${JSON.stringify(name)}. The columns are ${names}.`)
}

/** The column with that id. */
export function fieldWithId(schema: Schema, id: number): NestedField {
  const field = schema.fields.find((candidate) => candidate.id === id)
  if (field) return field
  throw new InvalidInput(`There is no column with the id ${id} in schema ${schema['schema-id']}.`)
}

const duckdbTypes: Record<PrimitiveType, string> = {
  boolean: 'BOOLEAN',
  int: 'INTEGER',
  long: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  string: 'VARCHAR',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
  timestamptz: 'TIMESTAMP WITH TIME ZONE',
  binary: 'BLOB',
}

/** DuckDB's name of a type, as DESCRIBE prints it. */
export function duckdbType(type: IcebergType): string {
  return typeof type === 'string' ? duckdbTypes[type] : `${duckdbTypes[type.element]}[]`
}

const icebergTypes = new Map<string, PrimitiveType>([
  ...Object.entries(duckdbTypes).map(([iceberg, duckdb]) => [duckdb, iceberg as PrimitiveType] as const),
  ...(['TINYINT', 'SMALLINT', 'UTINYINT', 'USMALLINT'] as const).map((name) => [name, 'int'] as const),
  ['UINTEGER', 'long'],
])

/** The Iceberg type that holds every value of a DuckDB type, as DESCRIBE prints it; a type without one is refused. */
export function columnType(duckdb: string): Column['type'] {
  const primitive = icebergTypes.get(duckdb)
  if (primitive) return primitive
  const element = icebergTypes.get(/^(.+)\[\d*\]$/.exec(duckdb)?.[1] ?? '')
  if (element) return { type: 'list', element, 'element-required': false }
  throw new InvalidInput(
    `DuckDB's type ${duckdb} has no place in a table. Cast the column, for instance to BIGINT or DOUBLE.`,
  )
}

/** The value of COPY's FIELD_IDS option. */
export function fieldIds(schema: Schema): string {
  const entries = schema.fields.map(({ id, name, type }) =>
    typeof type === 'string'
      ? `${quoteLiteral(name)}: ${id}`
      : `${quoteLiteral(name)}: {__duckdb_field_id: ${id}, element: ${type['element-id']}}`,
  )
  return `{${entries.join(', ')}}`
}

/** The value of read_parquet's `schema` option: columns are found by id, a missing one is null, an older type widened. */
export function readSchema(fields: readonly NestedField[]): string {
  const entries = fields.map(
    ({ id, name, type }) =>
      `${id}: {name: ${quoteLiteral(name)}, type: ${quoteLiteral(duckdbType(type))}, default_value: NULL}`,
  )
  return `map {${entries.join(', ')}}`
}
