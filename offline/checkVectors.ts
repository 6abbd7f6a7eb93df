/** Vectors hold numbers only: DuckDB's arrays see to their length, but may have a null inside. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import { tableColumns, type BoundGroup } from '../model/bound.ts'
import { InputError } from '../model/errors.ts'
import { shapeOf } from '../model/featureType.ts'
import { duckdbTypeOf } from './columnType.ts'
import { query } from './duckdb.ts'

/** @throws InputError that names the feature, how many of the table's rows have such a vector, and the first of them. */
export async function refuseHolesInVectors(
  connection: DuckDBConnection,
  bound: BoundGroup,
  table: string,
): Promise<void> {
  const { group, keys, features } = bound
  const order = tableColumns(bound)
    .slice(0, keys.length + 1)
    .map(({ name }) => quoteIdentifier(name))
    .join(', ')
  for (const { name, type } of features) {
    if (shapeOf(type).kind !== 'vector') continue
    const feature = quoteIdentifier(name)
    // An array has no aggregates of its own over its elements.
    const isHoled = `len(list_filter(CAST(${feature} AS FLOAT[]), lambda element: element IS NULL)) > 0`
    const [first] = await query(
      connection,
      `SELECT count(*) OVER () AS rows, CAST(${feature} AS VARCHAR) AS shown, CAST(event_timestamp AS VARCHAR) AS at,
              concat_ws('|', ${keys.map((key) => quoteIdentifier(key.name)).join(', ')}) AS entity
       FROM ${quoteIdentifier(table)} WHERE ${isHoled} ORDER BY ${order} LIMIT 1`,
    )
    if (first === undefined) continue
    const { rows, shown, at, entity } = first
    throw new InputError(
      `feature group ${group.id}: feature ${name}: the vectors of ${String(rows)} rows have a null inside, which ${type} cannot hold; the first is ${String(shown)}, of ${String(entity)} at ${String(at)}. Put a number there, make the whole vector null, or declare list<float32> and compute a ${duckdbTypeOf('list<float32>')}.`,
      { group: group.id, feature: name, count: Number(rows) },
    )
  }
}
