/**
 * Partition transforms as DuckDB SQL. DuckDB has no murmur3 of its own, so `bucket[N]` calls two functions that
 * `registerBucketFunctions` makes known to the instance.
 */
import { BIGINT, BLOB, DuckDBBlobValue, DuckDBScalarFunction, INTEGER } from '@duckdb/node-api'
import type { DuckDBConnection, DuckDBType, DuckDBValue } from '@duckdb/node-api'
import { encodeBound, InvalidInput } from '../singleValue.ts'
import { bucketOfHash, murmur3, parseTransform, transformType } from '../transforms.ts'
import type { IcebergType } from '../types.ts'

/**
 * SQL of the partition value; `expression` is SQL of the source type. Days come as DATE, whatever the session's time
 * zone, buckets as INTEGER.
 */
export function transformSql(transform: string, type: IcebergType, expression: string): string {
  const parsed = parseTransform(transform)
  transformType(transform, type)
  if (parsed.kind === 'identity') return expression
  if (parsed.kind === 'bucket') return hashedSql(type, expression, parsed.count)
  // A cast of timestamptz to DATE would take the day of the session's time zone.
  return type === 'timestamptz'
    ? `CAST(${expression} AT TIME ZONE 'UTC' AS DATE)`
    : `CAST(${expression} AS DATE)`
}

/**
 * SQL of the bucket that a row belongs to: an INTEGER from 0 to count - 1, null for null. The connection's instance
 * knows the functions afterwards.
 *
 *     `SELECT * FROM labels WHERE ${bucketSql(connection, 4, 'string', quoteIdentifier('origin'))} = 3`
 *
 * @param type the key's in the table: an int column hashes as its long does, but '7' does not hash as 7 does
 * @param expression SQL of that type
 * @throws InvalidInput for a type or a count that there are no buckets of
 */
export function bucketSql(
  connection: DuckDBConnection,
  count: number,
  type: IcebergType,
  expression: string,
): string {
  const sql = transformSql(`bucket[${count}]`, type, expression)
  registerBucketFunctions(connection)
  return sql
}

/** Hashes what the specification's Appendix B says: UTF-8, micros, days and ints as longs. */
function hashedSql(type: IcebergType, expression: string, count: number): string {
  if (type === 'string') return `iceberg_bucket_bytes(${count}, encode(${expression}))`
  if (type === 'binary') return `iceberg_bucket_bytes(${count}, ${expression})`
  if (type === 'date')
    return `iceberg_bucket_long(${count}, CAST(${expression} - DATE '1970-01-01' AS BIGINT))`
  if (type === 'timestamp' || type === 'timestamptz')
    return `iceberg_bucket_long(${count}, epoch_us(${expression}))`
  return `iceberg_bucket_long(${count}, CAST(${expression} AS BIGINT))`
}

/**
 * Makes the bucket functions known to the connection's instance; doing so again changes nothing. Not inside of a
 * transaction, whose rollback would take them back and where two that do so at once collide.
 */
export function registerBucketFunctions(connection: DuckDBConnection): void {
  connection.registerScalarFunction(bucketFunction('iceberg_bucket_long', BIGINT))
  connection.registerScalarFunction(bucketFunction('iceberg_bucket_bytes', BLOB))
}

function bucketFunction(name: string, type: DuckDBType): DuckDBScalarFunction {
  return DuckDBScalarFunction.create({
    name,
    parameterTypes: [INTEGER, type],
    returnType: INTEGER,
    mainFunction: (_info, input, output) => {
      const counts = input.getColumnVector(0)
      const values = input.getColumnVector(1)
      for (let row = 0; row < input.rowCount; row++) {
        const value = values.getItem(row)
        const count = Number(counts.getItem(row))
        output.setItem(row, value === null ? null : bucketOfHash(murmur3(hashedBytes(value)), count))
      }
      output.flush()
    },
  })
}

function hashedBytes(value: DuckDBValue): Uint8Array {
  if (typeof value === 'bigint') return encodeBound('long', value)
  if (value instanceof DuckDBBlobValue) return value.bytes
  throw new InvalidInput(`A bucket is made of BIGINT or BLOB, not of ${String(value)}.`)
}
