/** Computing and staging the six-month hourly backfill, against bare DuckDB SQL into the same sorted daily files. */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { airportDelays, flights as flightsSource } from '../features/index.ts'
import { icebergSchema, writeDataFiles } from '../iceberg/index.ts'
import { tableColumns } from '../model/index.ts'
import { icebergType } from '../activities/groupTable.ts'
import { bindGroup, bindSource, computeRange, listSourceFiles, type DuckDb } from '../offline/index.ts'
import { hourlyBackfillFloor } from './floors/hourlyBackfill.ts'
import { refuseDifferentRows } from './hourlyRows.ts'
import { measure, type Row } from './measure.ts'
import type { Subject } from './subject.ts'

const range = { from: Date.parse('2001-01-08T00:00:00Z'), to: Date.parse('2001-07-01T00:00:00Z') }

const row: Row = {
  what: 'compute and stage the six-month hourly backfill of 3M flights',
  floor: 'bare DuckDB SQL by hand, same sorted daily files',
  goal: { atMost: 1.3 },
}
const turns = 7

export const hourlyBackfill: Subject = {
  rows: [row],
  async measure(bench) {
    const { duckdb, scratch } = bench
    const flights = await bench.flights()
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
    await refuseDifferentRows(duckdb, [join(byHandFolder, '*.parquet')], [join(oursFolder, '*.parquet')])
    return [await measure({ ...row, ours, byHand }, turns)]
  },
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
