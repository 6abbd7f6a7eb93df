/** Computes the rows of a range of intervals into a temporary table, whichever way the group is computed. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import { IntegrityError } from '../model/errors.ts'
import type { IntervalRange } from '../model/time.ts'
import { refuseHolesInVectors } from './checkVectors.ts'
import { computeMap } from './computeMap.ts'
import { computeQuery } from './computeQuery.ts'
import { computeRange, type ComputeRequest } from './compute.ts'
import { query } from './duckdb.ts'
import type { SourceRelation } from './source.ts'

export interface RowsRequest extends Omit<ComputeRequest, 'relation'> {
  /** Those of the group's sources, in their order. */
  readonly relations: readonly SourceRelation[]
}

/**
 * @returns how many rows the table holds
 * @throws InputError for data that the group cannot be computed from
 */
export async function computeRows(
  connection: DuckDBConnection,
  asked: RowsRequest,
): Promise<{ rows: number }> {
  const { knownFrom } = asked
  const relations =
    knownFrom === undefined
      ? asked.relations
      : asked.relations.map((relation) => ({ ...relation, arrivedBy: knownFrom }))
  const request = { ...asked, relations }
  switch (request.bound.group.compute.kind) {
    case 'aggregate':
      await computeRange(connection, { ...request, relation: onlySource(request) })
      break
    case 'query':
      await computeQuery(connection, request)
      break
    case 'map':
      await computeMap(connection, request, onlySource(request))
      break
  }
  if (asked.only !== undefined) await leaveOutOthers(connection, asked.into, asked.only)
  await refuseHolesInVectors(connection, request.bound, request.into)
  const [count] = await query(connection, `SELECT count(*) AS rows FROM ${quoteIdentifier(request.into)}`)
  return { rows: Number(count?.['rows']) }
}

async function leaveOutOthers(
  connection: DuckDBConnection,
  into: string,
  only: readonly IntervalRange[],
): Promise<void> {
  const bounds = only.map(({ from, to }) => `(${from * 1000}, ${to * 1000})`).join(', ')
  await query(
    connection,
    `DELETE FROM ${quoteIdentifier(into)} WHERE NOT EXISTS (SELECT 1 FROM (VALUES ${bounds}) AS asked(after_us, up_to_us)
       WHERE epoch_us(event_timestamp) > after_us AND epoch_us(event_timestamp) <= up_to_us)`,
  )
}

function onlySource({ bound, relations }: RowsRequest): SourceRelation {
  const [relation, ...more] = relations
  if (relation !== undefined && more.length === 0) return relation
  throw new IntegrityError(`feature group ${bound.group.id} was given ${relations.length} sources, not one.`)
}
