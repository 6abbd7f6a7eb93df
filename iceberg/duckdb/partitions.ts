/** Which partitions a relation's rows belong to, found in one pass over it. */
import { DuckDBDateValue, DuckDBTimestampTZValue, DuckDBTimestampValue } from '@duckdb/node-api'
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { duckdbType, fieldWithId } from '../schema.ts'
import { InvalidInput } from '../singleValue.ts'
import { transformType, type PartitionValue } from '../transforms.ts'
import type { NestedField, PartitionSpec, PartitionTuple, PrimitiveType, Schema } from '../types.ts'
import { quoteIdentifier, quoteLiteral } from './quote.ts'
import { refuseInfinity } from './statistics.ts'
import { registerBucketFunctions, transformSql } from './transformSql.ts'

interface PartitionColumn {
  readonly name: string
  readonly source: NestedField
  readonly type: PrimitiveType
  /** The stage's column that holds its values. */
  readonly column: string
  readonly sql: string
}

export interface Partition {
  readonly partition: PartitionTuple
  /** SQL that holds for its rows in the stage. */
  readonly condition: string
}

/**
 * Lays the rows down in a temporary table that knows each row's partition, sorted by it, and says which there are.
 * @param rows SQL of a relation with the schema's columns and types
 * @param stage quoted name of the table, which the caller drops
 */
export async function stagePartitions(
  connection: DuckDBConnection,
  { schema, spec }: { readonly schema: Schema; readonly spec: PartitionSpec },
  rows: string,
  stage: string,
): Promise<Partition[]> {
  const columns = spec.fields.map((field, index): PartitionColumn => {
    const source = fieldWithId(schema, field['source-id'])
    const sql = transformSql(field.transform, source.type, quoteIdentifier(source.name))
    const type = transformType(field.transform, source.type)
    return { name: field.name, source, type, column: quoteIdentifier(`iceberg partition ${index}`), sql }
  })
  if (spec.fields.some(({ transform }) => transform.startsWith('bucket'))) registerBucketFunctions(connection)
  const expressions = columns.map(({ sql, column }) => `${sql} AS ${column}`)
  const names = columns.map(({ column }) => column).join(', ')
  await connection.run(
    `CREATE TEMP TABLE ${stage} AS SELECT *, ${expressions.join(', ')} FROM ${rows} ORDER BY ${names}`,
  )
  const found = await connection.runAndReadAll(`SELECT DISTINCT ${names} FROM ${stage} ORDER BY ${names}`)
  return found.getRows().map((row) => {
    const values = columns.map((column, index) => partitionValue(column, row[index] ?? null))
    return {
      partition: Object.fromEntries(columns.map(({ name }, index) => [name, values[index] ?? null])),
      condition: columns.map((column, index) => holds(column, values[index] ?? null)).join(' AND '),
    }
  })
}

function partitionValue({ source }: PartitionColumn, value: DuckDBValue): PartitionValue | null {
  if (value === null) return null
  if (
    value instanceof DuckDBDateValue ||
    value instanceof DuckDBTimestampTZValue ||
    value instanceof DuckDBTimestampValue
  ) {
    const number = value instanceof DuckDBDateValue ? value.days : value.micros
    if (!value.isFinite) refuseInfinity(source, number > 0 ? 'infinity' : '-infinity')
    return number
  }
  if (typeof value === 'object')
    throw new InvalidInput(`A partition value of ${JSON.stringify(source.name)} is ${String(value)}.`)
  return value
}

/** SQL that compares with a constant, so that DuckDB skips the parts of the stage where it cannot hold. */
function holds({ column, type }: PartitionColumn, value: PartitionValue | null): string {
  if (value === null) return `${column} IS NULL`
  if (type === 'date') return `${column} = DATE '1970-01-01' + ${String(value)}`
  if (type === 'timestamptz') return `${column} = make_timestamptz(${String(value)})`
  if (type === 'timestamp') return `${column} = make_timestamp(${String(value)})`
  return `${column} = CAST(${quoteLiteral(String(value))} AS ${duckdbType(type)})`
}
