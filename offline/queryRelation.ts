/** A query group's SELECT over its sources: judged, bound to the bounds of an interval, and of known columns. */
import { DuckDBTimestampTZValue, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api'
import type { QueryCompute } from '../model/compute.ts'
import { IntegrityError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import type { EpochMs, IntervalRange } from '../model/time.ts'
import type { Column } from './columnType.ts'
import { asTable, type SourceRelation } from './source.ts'
import { describeTable, judgeSql, sqlOver } from './sqlText.ts'

export interface QueryRelation {
  /**
   * SQL of the SELECT as a table, over what had arrived by then where sources say it (rule 6); its parameters are those
   * that `bounds` gives.
   */
  tableAt(arrivedBy: EpochMs): string
  readonly columns: readonly Column[]
  /** The parameters of one interval. */
  bounds(interval: IntervalRange): Record<string, DuckDBValue>
}

export function queryOf({ id, compute }: FeatureGroup): QueryCompute {
  if (compute.kind === 'query') return compute
  throw new IntegrityError(`feature group ${id} is a ${compute.kind} group and has no query.`)
}

/** @throws InputError for SQL that is not allowed, and with what DuckDB's binder says of it. */
export async function queryRelation(
  connection: DuckDBConnection,
  group: FeatureGroup,
  relations: readonly SourceRelation[],
): Promise<QueryRelation> {
  const { sql } = queryOf(group)
  const what = `feature group ${group.id}`
  const tableAt = (arrivedBy: EpochMs) =>
    sqlOver(
      relations.map((relation) => asTable(relation, arrivedBy)),
      sql,
    )
  const named = await judgeSql(connection, sql, {
    what,
    tables: group.sources.map(({ name }) => name),
    parameters: ['from', 'to'],
  })
  const bounds = ({ from, to }: IntervalRange) => {
    const all = { from: instant(from), to: instant(to) }
    return Object.fromEntries(Object.entries(all).filter(([name]) => named.includes(name)))
  }
  const columns = await describeTable(connection, what, tableAt(0), bounds({ from: 0, to: 0 }))
  return { tableAt, columns, bounds }
}

const instant = (ms: number) => new DuckDBTimestampTZValue(BigInt(ms) * 1000n)
