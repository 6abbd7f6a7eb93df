/** A store of one turn: its own folder and worker, on a real Temporal server, with the time that its activities take. */
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { Worker, type WorkflowBundle } from '@temporalio/worker'
import { applyRegistration, createActivities, planRegistration } from '../activities/index.ts'
import { openStore, type Store } from '../worker/openStore.ts'
import { readConfig } from '../worker/config.ts'
import type { backfill, BackfillResult } from '../workflows/backfill.ts'
import type { BackfillInput } from '../workflows/contract.ts'
import { duckdbLimits } from './subject.ts'

export const hourlyGroup = 'airport_delays_v1'
export const sixMonths: BackfillInput = { group: hourlyGroup, from: '2001-01-08', to: '2001-07-01' }

/** What a store of the hourly group over the flights is told. */
export const flightsEnvironment = (home: string, flights: string) => ({
  ASOF_HOME: home,
  ASOF_FEATURES: fileURLToPath(new URL('../features/airports.ts', import.meta.url)),
  ASOF_CLOCK: '2002-07-02T00:00:00Z',
  FLIGHTS_PATH: flights,
})

export interface TimedRun {
  readonly result: BackfillResult
  readonly seconds: number
  /** In which at least one activity was under way. */
  readonly activitySeconds: number
}

export interface RunningStore {
  readonly store: Store
  backfill(input: BackfillInput): Promise<TimedRun>
  stop(): Promise<void>
}

type Span = readonly [began: number, ended: number]

export async function runStore(
  temporal: TestWorkflowEnvironment,
  workflowBundle: WorkflowBundle,
  home: string,
  flights: string,
): Promise<RunningStore> {
  const taskQueue = `bench-${randomUUID()}`
  const environment = {
    ...flightsEnvironment(home, flights),
    ASOF_MEMORY_LIMIT: duckdbLimits.memoryLimit,
    ASOF_THREADS: String(duckdbLimits.threads),
    ASOF_TASK_QUEUE: taskQueue,
  }
  const store = await openStore(readConfig(environment, home))
  await applyRegistration(store, await planRegistration(store))
  const spans: Span[] = []
  const worker = await Worker.create({
    connection: temporal.nativeConnection,
    taskQueue,
    workflowBundle,
    activities: timed(createActivities(store), spans),
  })
  const running = worker.run()
  return {
    store,
    async backfill(input) {
      spans.length = 0
      const began = performance.now()
      const result = await temporal.client.workflow.execute<typeof backfill>('backfill', {
        taskQueue,
        workflowId: randomUUID(),
        args: [input],
      })
      const seconds = (performance.now() - began) / 1000
      return { result, seconds, activitySeconds: covered(spans) / 1000 }
    },
    async stop() {
      worker.shutdown()
      await running
      await store.close()
    },
  }
}

function timed(activities: object, spans: Span[]): object {
  type Step = (input: unknown) => Promise<unknown>
  const time =
    (step: Step): Step =>
    async (input) => {
      const began = performance.now()
      try {
        return await step(input)
      } finally {
        spans.push([began, performance.now()])
      }
    }
  const steps = Object.entries(activities) as [string, Step][]
  return Object.fromEntries(steps.map(([name, step]) => [name, time(step)]))
}

/** How long at least one span lasted: what overlaps counts once. */
function covered(spans: readonly Span[]): number {
  let total = 0
  let until = -Infinity
  for (const [began, ended] of [...spans].sort((a, b) => a[0] - b[0])) {
    total += Math.max(0, ended - Math.max(began, until))
    until = Math.max(until, ended)
  }
  return total
}
