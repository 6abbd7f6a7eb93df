/** A group's gates against its types and its table's columns: what cannot check is refused before anything is registered. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/index.ts'
import { tableColumns, type BoundGroup } from '../model/index.ts'
import { duckdbTypeOf, query } from '../offline/index.ts'
import { bindQueryGates, checkGatesFitTypes } from '../quality/index.ts'

/** @throws InputError that names the group, the gate and the cure. */
export async function bindGates(connection: DuckDBConnection, bound: BoundGroup): Promise<void> {
  checkGatesFitTypes(bound)
  const columns = tableColumns(bound).map(
    ({ name, type }) => `CAST(NULL AS ${duckdbTypeOf(type)}) AS ${quoteIdentifier(name)}`,
  )
  const empty = `(SELECT ${columns.join(', ')} WHERE false)`
  await bindQueryGates(bound.group, empty, (sql) => query(connection, sql))
}
