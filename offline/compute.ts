/**
 * Computes the rows of a range of intervals into a temporary table.
 *
 * Doing it again gives the same rows to the bit, except for sums of fractions, which DuckDB adds up in no fixed order
 * (rule 8). Nothing but the table `into` is left on the connection.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import type { BoundGroup } from '../model/bound.ts'
import { InputError } from '../model/errors.ts'
import type { EpochMs, IntervalRange } from '../model/time.ts'
import { bindColumns, columnsOfGroup } from './bind.ts'
import { compileGroup, scratchTables, type CompiledGroup } from './compile.ts'
import { query } from './duckdb.ts'
import { checkNullTimes, checkTimestamps } from './checkTimes.ts'
import { countEvents, type SourceRelation } from './source.ts'

export interface ComputeRequest {
  readonly bound: BoundGroup
  readonly relation: SourceRelation
  /** The interval ends `from < e <= to`. */
  readonly range: IntervalRange
  /** Leaves out the rows of other intervals of the range. */
  readonly only?: readonly IntervalRange[]
  readonly runId: string
  /**
   * From when all the rows are known, and which arrivals they see (rule 6, refresh). Without it this is history: each row
   * is known from when its interval was due, and sees what had arrived by then.
   */
  readonly knownFrom?: EpochMs
  /** Adds a column `toleranceColumn(name)` for each feature that adds up fractions: by how much it may vary (rule 8). */
  readonly withTolerances?: boolean
  /** Name of the temporary table that is made; its columns are those of `tableColumns`, then the tolerances. */
  readonly into: string
  readonly signal?: AbortSignal
}

/**
 * @returns how many rows the table holds
 * @throws InputError for a null key, a null or unreadable timestamp, a sum that is no int64, and a feature whose column
 * has changed its type since the group was registered.
 */
export async function computeRange(
  connection: DuckDBConnection,
  request: ComputeRequest,
): Promise<{ rows: number }> {
  const { bound, relation, range, runId, into, signal, knownFrom, withTolerances } = request
  refuseChangedTypes(bound, relation)
  const compiled = compileGroup(bound, relation, { range, runId, scratch: into, knownFrom, withTolerances })
  const tiles = quoteIdentifier(`${into} tiles`)
  try {
    await makeTiles(connection, request, compiled, tiles)
    await refuseNullKeys(connection, request, compiled, tiles)
    await query(
      connection,
      `CREATE TEMP TABLE ${quoteIdentifier(into)} AS ${compiled.rows(tiles)}`,
      signal,
    ).catch(async (error: unknown) => {
      if (error instanceof InputError) await blameFeature(connection, request)
      throw error
    })
    const [count] = await query(connection, `SELECT count(*) AS rows FROM ${quoteIdentifier(into)}`)
    return { rows: Number(count?.['rows']) }
  } finally {
    for (const table of [tiles, ...Object.values(scratchTables(into))]) {
      await query(connection, `DROP TABLE IF EXISTS ${table}`)
    }
  }
}

async function makeTiles(
  connection: DuckDBConnection,
  { relation, signal }: ComputeRequest,
  compiled: CompiledGroup,
  tiles: string,
): Promise<void> {
  await checkNullTimes(connection, relation)
  for (const statement of [...compiled.setUp, `CREATE TEMP TABLE ${tiles} AS ${compiled.tiles}`]) {
    await query(connection, statement, signal).catch(async (error: unknown) => {
      if (!(error instanceof InputError)) throw error
      await checkTimestamps(connection, relation)
      throw new InputError(`source ${relation.source.name}: ${error.message}`, error.context, {
        cause: error,
      })
    })
  }
}

async function refuseNullKeys(
  connection: DuckDBConnection,
  { bound, relation }: ComputeRequest,
  { events }: CompiledGroup,
  tiles: string,
): Promise<void> {
  const isNull = bound.keys.map((_, index) => `k${index} IS NULL`).join(' OR ')
  const [found] = await query(connection, `SELECT count(*) AS tiles FROM ${tiles} WHERE ${isNull}`)
  if (found?.['tiles'] === 0n) return
  for (const [index, { name }] of bound.keys.entries()) {
    const columns = columnsOfGroup(bound.group, relation)
    const { count, first } = await countEvents(connection, relation, columns, `k${index} IS NULL`, events)
    if (count === 0) continue
    throw new InputError(
      `feature group ${bound.group.id}: ${count} events of source ${relation.source.name} have no ${name}, a key of entity ${bound.group.entity.name}; the first is of ${first}. Fill it in or leave these events out.`,
      { group: bound.group.id, source: relation.source.name, key: name, count, first },
    )
  }
}

function refuseChangedTypes(bound: BoundGroup, relation: SourceRelation): void {
  const now = bindColumns(bound.group, relation)
  for (const { name, type } of bound.features) {
    const found = now.features.find((feature) => feature.name === name)?.type
    if (found === type) continue
    throw new InputError(
      `feature group ${bound.group.id}: feature ${name} was registered as ${type}, but the columns of source ${relation.source.name} now make it ${found}. Bring the source back to its types, or give the group a new version.`,
      { group: bound.group.id, feature: name },
    )
  }
}

/** Finds the feature whose value does not fit its type, one by one: only the message needs it. */
async function blameFeature(
  connection: DuckDBConnection,
  { bound, relation, range, runId, into }: ComputeRequest,
): Promise<void> {
  for (const feature of bound.features) {
    const { tiles, rows } = compileGroup({ ...bound, features: [feature] }, relation, {
      ...{ range, runId, scratch: into },
    })
    const values = `SELECT count(${quoteIdentifier(feature.name)}) FROM (${rows(`(${tiles})`)})`
    await query(connection, values).catch((cause: unknown) => {
      throw new InputError(
        `feature group ${bound.group.id}: feature ${feature.name}: a value does not fit ${feature.type}: ${cause instanceof Error ? cause.message.split('\n')[0] : ''}. Use mean, a shorter window, or a column of fractions.`,
        { group: bound.group.id, feature: feature.name },
        { cause },
      )
    })
  }
}
