/** Computing and staging the six-month hourly backfill, against bare DuckDB SQL into the same sorted daily files. */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { airportDelays, flights as flightsSource } from '../features/index.ts'
import { icebergSchema, writeDataFiles } from '../iceberg/index.ts'
import { tableColumns } from '../model/index.ts'
import { icebergType } from '../activities/groupTable.ts'
import { bindGroup, bindSource, computeRange, listSourceFiles, query, type DuckDb } from '../offline/index.ts'
import { hourlyBackfillFloor } from './floors/hourlyBackfill.ts'
import type { Pair } from './measure.ts'

const range = { from: Date.parse('2001-01-08T00:00:00Z'), to: Date.parse('2001-07-01T00:00:00Z') }

/** @throws where the two sides do not write the same rows: a ratio of different work would say nothing */
export async function hourlyBackfill(duckdb: DuckDb, flights: string, scratch: string): Promise<Pair> {
  const [byHandFolder, oursFolder] = [join(scratch, 'floor'), join(scratch, 'ours')]
  const fresh = (folder: string) => rmSync(folder, { recursive: true, force: true })
  const byHand = async () => {
    fresh(byHandFolder)
    const connection = await duckdb.connect()
    await hourlyBackfillFloor(connection, flights, byHandFolder)
    connection.closeSync()
  }
  const ours = async () => {
    fresh(oursFolder)
    await computeAndWrite(duckdb, flights, oursFolder)
  }
  await byHand()
  await ours()
  await refuseDifferentRows(duckdb, byHandFolder, oursFolder)
  return {
    what: 'compute and stage the six-month hourly backfill of 3M flights',
    floor: 'bare DuckDB SQL by hand, same sorted daily files',
    goal: 1.3,
    ours,
    byHand,
  }
}

async function computeAndWrite(duckdb: DuckDb, flights: string, folder: string): Promise<void> {
  const connection = await duckdb.connect()
  try {
    const files = await listSourceFiles(flightsSource, flights)
    const bound = await bindGroup(connection, airportDelays, files)
    const relation = await bindSource(connection, flightsSource, files)
    const into = `ours_${randomUUID().replaceAll('-', '')}`
    await computeRange(connection, { bound, relation, range, runId: 'floor', into })
    const schema = icebergSchema(
      tableColumns(bound).map((column) => ({ ...column, type: icebergType(column.type) })),
    )
    const day = { 'source-id': 2, 'field-id': 1000, name: 'day', transform: 'day' }
    await writeDataFiles(connection, {
      schema,
      spec: { 'spec-id': 0, fields: [day] },
      relation: into,
      orderBy: ['origin', 'event_timestamp'],
      directory: `file://${folder}`,
      localPath: (location) => location.replace('file://', ''),
    })
  } finally {
    connection.closeSync()
  }
}

async function refuseDifferentRows(duckdb: DuckDb, byHand: string, ours: string): Promise<void> {
  const connection = await duckdb.connect()
  const rows = (folder: string) =>
    `SELECT * REPLACE (round(mean_delay_24h, 6) AS mean_delay_24h, round(mean_delay_7d, 6) AS mean_delay_7d) FROM read_parquet('${folder}/*.parquet', hive_partitioning = false)`
  const [found] = await query(
    connection,
    `SELECT (SELECT count(*) FROM (${rows(byHand)})) AS rows, (SELECT count(*) FROM (${rows(byHand)} EXCEPT ALL ${rows(ours)})) AS lacking,
            (SELECT count(*) FROM (${rows(ours)} EXCEPT ALL ${rows(byHand)})) AS more`,
  )
  connection.closeSync()
  if (found?.['lacking'] !== 0n || found['more'] !== 0n || found['rows'] === 0n) {
    throw new Error(
      `The floor and the backfill do not write the same rows: ${JSON.stringify(found, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}`,
    )
  }
}
