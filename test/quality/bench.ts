/** What the tests of gates share: a DuckDB of their own, relations with one feature, and the judgement of one gate. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll } from 'vitest'
import type { Gate, GateReport, ScalarType } from '../../model/index.ts'
import type { GateContext } from '../../quality/gate.ts'
import { judgeGates, type Query } from '../../quality/judgeGates.ts'

const sqlTypes: Record<ScalarType, string> = {
  boolean: 'BOOLEAN',
  int32: 'INTEGER',
  int64: 'BIGINT',
  float32: 'FLOAT',
  float64: 'DOUBLE',
  string: 'VARCHAR',
  timestamp: 'TIMESTAMPTZ',
}

/**
 * A relation with one row a value, SQL each: key `k<position>`, feature `value`, stamped an hour after the other from
 * midnight of 8 January 2001.
 */
export function relation(values: readonly string[], type: ScalarType = 'float64', created = 'NULL'): string {
  const columns = `origin, TIMESTAMPTZ '2001-01-08 00:00:00Z' + INTERVAL 1 HOUR * position AS event_timestamp,
    ${created}::TIMESTAMPTZ AS created_timestamp, 'r1' AS run_id, value`
  const rows = values.map(
    (value, at) => `('k${String(at).padStart(3, '0')}', ${at}, CAST(${value} AS ${sqlTypes[type]}))`,
  )
  if (rows.length === 0) rows.push(`('none', -1, CAST(NULL AS ${sqlTypes[type]}))`)
  return `(SELECT ${columns} FROM (VALUES ${rows.join(', ')}) AS v(origin, position, value) WHERE position >= 0)`
}

/** A run of one interval, with nothing published before it. */
export function contextOf(staged: string, changes: Partial<GateContext> = {}): GateContext {
  return {
    staged,
    published: () => ({ relation: relation([]), intervals: 0 }),
    keys: ['origin'],
    features: { value: 'float64' },
    ranges: [{ from: Date.UTC(2001, 0, 7), to: Date.UTC(2001, 0, 8) }],
    intervals: 1,
    ...changes,
  }
}

export interface GateBench {
  /** Every SQL that was asked so far. */
  readonly asked: string[]
  readonly query: Query
  /** One gate over values of a feature. */
  judge(gate: Gate, values: readonly string[], type?: ScalarType): Promise<GateReport>
  /** One gate over relations. */
  judgeIn(gate: Gate, context: GateContext): Promise<GateReport>
}

export function gateBench(): GateBench {
  let instance: DuckDBInstance
  let connection: DuckDBConnection
  const asked: string[] = []
  beforeAll(async () => {
    instance = await DuckDBInstance.create(':memory:', { threads: '2' })
    connection = await instance.connect()
    // The reports must not depend on the machine's zone.
    await connection.run("SET TimeZone = 'America/New_York'")
  })
  afterAll(() => {
    connection.closeSync()
    instance.closeSync()
  })
  const query: Query = async (sql) => {
    asked.push(sql)
    return (await connection.runAndReadAll(sql)).getRowObjects()
  }
  const judgeIn = async (gate: Gate, context: GateContext) => {
    const [report] = await judgeGates([gate], context, query)
    if (report === undefined) throw new Error('no report')
    return report
  }
  const judge = (gate: Gate, values: readonly string[], type: ScalarType = 'float64') =>
    judgeIn(gate, contextOf(relation(values, type), { features: { value: type } }))
  return { asked, query, judge, judgeIn }
}
