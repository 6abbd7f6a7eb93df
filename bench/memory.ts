/** What a worker process of its own holds at most, over the whole workflow of six months of flights and of twelve. */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { applyRegistration, planRegistration } from '../activities/index.ts'
import { query } from '../offline/index.ts'
import { say } from '../scripts/output.ts'
import { ensureTemporal } from '../scripts/tools.mjs'
import { startTemporal } from '../test/support/temporal.ts'
import { readConfig } from '../worker/config.ts'
import { openStore } from '../worker/openStore.ts'
import type { backfill } from '../workflows/backfill.ts'
import type { BackfillInput } from '../workflows/contract.ts'
import { measured, type Row } from './measure.ts'
import { flightsEnvironment, hourlyGroup, sixMonths } from './runningStore.ts'
import { duckdbLimits, type Bench, type Subject } from './subject.ts'
import { startWorker } from './ownProcess.ts'

const turns = 3
/** What is left of a gigabyte is Node, Temporal's core and LMDB's pages. */
const memoryLimit = '300MB'
const mostMegabytes = 1_000

const six: Row = {
  what: `worker memory over six months, ASOF_MEMORY_LIMIT=${memoryLimit}`,
  floor: '1 GB',
  goal: { below: 1 },
}
const twelve: Row = {
  what: `worker memory over twelve months, ASOF_MEMORY_LIMIT=${memoryLimit}`,
  floor: 'the same worker over six',
  goal: { atMost: 1.2 },
}

const twelveMonths: BackfillInput = { group: hourlyGroup, from: '2001-01-08', to: '2002-01-01' }

export const workerMemory: Subject = {
  rows: [six, twelve],
  async measure(bench) {
    await ensureTemporal(say)
    const flights = await bench.flights()
    const twice = await repeatFlights(bench, flights)
    const temporal = await startTemporal()
    try {
      const taken: { six: number; twelve: number }[] = []
      for (let turn = 0; turn < turns; turn++) {
        const peak = (source: string, input: BackfillInput) =>
          peakMegabytes(temporal, join(bench.scratch, randomUUID()), source, input)
        taken.push({ six: await peak(flights, sixMonths), twelve: await peak(twice, twelveMonths) })
      }
      return [
        measured(
          six,
          'MB',
          taken.map((peaks) => ({ ours: peaks.six, floor: mostMegabytes })),
        ),
        measured(
          twelve,
          'MB',
          taken.map((peaks) => ({ ours: peaks.twelve, floor: peaks.six })),
        ),
      ]
    } finally {
      await temporal.teardown()
    }
  },
}

/** The six months and, 181 days later, the same again, a file a day. */
async function repeatFlights({ duckdb, scratch }: Bench, flights: string): Promise<string> {
  const folder = join(scratch, 'twelve-months')
  mkdirSync(folder)
  const connection = await duckdb.connect()
  const days = await query(
    connection,
    `SELECT CAST(date AS DATE)::VARCHAR AS day, CAST(date + INTERVAL 181 DAYS AS DATE)::VARCHAR AS later
     FROM read_parquet('${flights}/*.parquet') GROUP BY ALL ORDER BY ALL`,
  )
  for (const { day, later } of days) {
    const rows = `FROM read_parquet('${flights}/flights-${String(day)}*.parquet')`
    await query(connection, `COPY (${rows}) TO '${folder}/flights-${String(day)}.parquet' (FORMAT parquet)`)
    await query(
      connection,
      `COPY (SELECT * REPLACE (date + INTERVAL 181 DAYS AS date) ${rows}) TO '${folder}/flights-${String(later)}.parquet' (FORMAT parquet)`,
    )
  }
  connection.closeSync()
  return folder
}

/** Runs the backfill on a worker that was started for it. @throws where it does not publish, or no entity is served */
async function peakMegabytes(
  temporal: TestWorkflowEnvironment,
  home: string,
  flights: string,
  input: BackfillInput,
): Promise<number> {
  const taskQueue = `bench-${randomUUID()}`
  const environment = {
    ...flightsEnvironment(home, flights),
    ASOF_MEMORY_LIMIT: memoryLimit,
    ASOF_THREADS: String(duckdbLimits.threads),
    ASOF_TASK_QUEUE: taskQueue,
    TEMPORAL_ADDRESS: temporal.address,
    UV_THREADPOOL_SIZE: '16',
  }
  mkdirSync(home)
  const store = await openStore(readConfig(environment, home))
  await applyRegistration(store, await planRegistration(store))
  await store.close()
  const worker = await startWorker(environment)
  try {
    const { outcome, entities } = await temporal.client.workflow.execute<typeof backfill>('backfill', {
      taskQueue,
      workflowId: randomUUID(),
      args: [input],
    })
    if (outcome !== 'published' || !entities) {
      throw new Error(`The workflow ended ${outcome} with ${entities} entities served.`)
    }
    return worker.peakMegabytes()
  } finally {
    await worker.stop()
  }
}
