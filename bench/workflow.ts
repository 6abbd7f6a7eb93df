/** The whole workflow of the six-month hourly backfill: against the floor of its rows, against itself, and asked again. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from '@temporalio/worker'
import { planScan } from '../iceberg/index.ts'
import { ensureTemporal } from '../scripts/tools.mjs'
import { say } from '../scripts/output.ts'
import { startTemporal } from '../test/support/temporal.ts'
import type { Store } from '../worker/openStore.ts'
import { hourlyBackfillFloor } from './floors/hourlyBackfill.ts'
import { refuseDifferentRows } from './hourlyRows.ts'
import { measured, secondsOf, type Row } from './measure.ts'
import { hourlyGroup, runStore, sixMonths, type TimedRun } from './runningStore.ts'
import type { Bench, Subject } from './subject.ts'

const turns = 3

const whole: Row = {
  what: 'whole workflow of the six-month hourly backfill: plan to publish, LMDB and record',
  floor: 'bare DuckDB SQL by hand, same sorted daily files',
  goal: { atMost: 3 },
}
const orchestration: Row = {
  what: 'orchestration of the whole workflow: its time outside of activities',
  floor: 'the whole workflow',
  goal: { atMost: 0.25 },
}
const again: Row = {
  what: 'whole workflow asked again for the published six months',
  floor: 'the first time',
  goal: { below: 0.1 },
}

interface WorkflowTurn {
  readonly floor: number
  readonly first: TimedRun
  readonly again: TimedRun
}

export const wholeWorkflow: Subject = {
  rows: [whole, orchestration, again],
  async measure(bench) {
    await ensureTemporal(say)
    const workflowsPath = fileURLToPath(new URL('../workflows/index.ts', import.meta.url))
    const logger = new DefaultLogger('ERROR')
    const bundle = await bundleWorkflowCode({ workflowsPath, logger })
    const temporal = await startTemporal()
    try {
      // The first turn does not count.
      await takeTurn(bench, temporal, bundle)
      const taken: WorkflowTurn[] = []
      for (let turn = 0; turn < turns; turn++) taken.push(await takeTurn(bench, temporal, bundle))
      const outside = ({ seconds, activitySeconds }: TimedRun) => seconds - activitySeconds
      return [
        measured(
          whole,
          's',
          taken.map(({ first, floor }) => ({ ours: first.seconds, floor })),
        ),
        measured(
          orchestration,
          's',
          taken.map(({ first }) => ({ ours: outside(first), floor: first.seconds })),
        ),
        measured(
          again,
          's',
          taken.map((turn) => ({ ours: turn.again.seconds, floor: turn.first.seconds })),
        ),
      ]
    } finally {
      await temporal.teardown()
    }
  },
}

/** A store that was not there: the floor, the backfill, and the same backfill once more. */
async function takeTurn(
  bench: Bench,
  temporal: TestWorkflowEnvironment,
  bundle: WorkflowBundle,
): Promise<WorkflowTurn> {
  const flights = await bench.flights()
  const [home, byHand] = [join(bench.scratch, 'home'), join(bench.scratch, 'floor')]
  for (const folder of [home, byHand]) rmSync(folder, { recursive: true, force: true })
  const connection = await bench.duckdb.connect()
  const floor = await secondsOf(() => hourlyBackfillFloor(connection, flights, byHand))
  connection.closeSync()
  const running = await runStore(temporal, bundle, home, flights)
  try {
    const first = await running.backfill(sixMonths)
    const published = await publishedFiles(running.store)
    await refuseDifferentRows(bench.duckdb, [join(byHand, '*.parquet')], published.files)
    await refuseUnserved(running.store, first)
    const second = await running.backfill(sixMonths)
    const now = await publishedFiles(running.store)
    if (second.result.outcome !== 'nothing_to_do' || now.metadata !== published.metadata) {
      throw new Error(`Asked again, the workflow ended ${second.result.outcome} at ${now.metadata}.`)
    }
    return { floor, first, again: second }
  } finally {
    await running.stop()
  }
}

async function publishedFiles(store: Store): Promise<{ files: string[]; metadata: string }> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: hourlyGroup })
  const { files } = await planScan(table)
  return {
    files: files.map(({ filePath }) => store.fileIO.localPath(filePath)),
    metadata: table.metadataLocation,
  }
}

/** Every entity must have its value online when the workflow has ended. */
async function refuseUnserved({ onlineStores: [online] }: Store, { result }: TimedRun): Promise<void> {
  let served = 0
  for await (const { value } of online?.scan(hourlyGroup) ?? []) served += value === null ? 0 : 1
  if (result.outcome === 'published' && served === result.entities && served > 0) return
  throw new Error(
    `The workflow ended ${result.outcome}; ${served} of ${result.entities} entities are served.`,
  )
}
