/**
 * Workers that are killed while a training set is built, and workflows that want the same set at once: one is built, whole,
 * and nothing lies beside it.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createActivities } from '../../activities/index.ts'
import { query } from '../../offline/index.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import type { FinishedTraining, PlannedTraining, TrainingInput } from '../../workflows/contract.ts'
import { updateNames } from '../../workflows/names.ts'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { runKilled, runScheduledAlone, startRun } from './killedRun.ts'
import {
  attemptsOf,
  bundledWorkflows,
  endWorkers,
  noticeDeath,
  startWorker,
  type Blow,
  type Faults,
} from './killing.ts'
import { restoredStore, type RestoredStore } from './restoredStore.ts'

const folder = temporaryFolder('killed-training')
/** So many that a worker can be killed while it writes their part. */
const labels = 300_000
const input: TrainingInput = {
  name: 'shops',
  service: 'shop_model_v1',
  labels: { path: 'labels.parquet', time: 'at' },
  eventTimestamps: true,
  unmatched: true,
}
let temporal: TestWorkflowEnvironment
let training: RestoredStore
let faults: Omit<Faults, 'blows'>
let undisturbed: Ended

beforeAll(async () => {
  temporal = await startTemporal()
  const restored = await restoredStore(folder)
  training = { ...restored, run: { ...restored.run, workflow: 'buildTrainingSet', input } }
  faults = { folder: join(folder, 'blows'), bundle: await bundledWorkflows(folder), holdMs: 0 }
  await inStore(async ({ duckdb }) => {
    const connection = await duckdb.connect()
    await query(
      connection,
      `COPY (SELECT TIMESTAMPTZ '2024-01-02 00:00:00Z' + to_microseconds(CAST(hash(i) % 172800000000 AS BIGINT)) AS "at",
         ['at', 'de', 'pt', 'none'][1 + CAST(hash('c', i) % 4 AS INTEGER)] AS country, CAST(hash('s', i) % 8 AS BIGINT) AS shop, i AS label
       FROM range(${labels}) AS numbers(i) ORDER BY i) TO '${join(folder, 'labels.parquet')}' (FORMAT parquet)`,
    )
    connection.closeSync()
  })
  await runKilled(temporal, training, { ...faults, blows: [] })
  undisturbed = await ended()
})

afterAll(async () => {
  endWorkers()
  await temporal?.teardown()
})

async function inStore<Result>(use: (store: Store) => Promise<Result>): Promise<Result> {
  const store = await openStore(training.config)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

interface Manifest {
  readonly id: string
  readonly contentHash: string
  readonly rows: number
  readonly files: readonly string[]
  readonly unmatchedFiles: readonly string[]
}

interface Ended {
  readonly set: { readonly id: string; readonly status: string; readonly rows: number; readonly hash: string }
  readonly workflowId: string
  /** What lies in the set's folder, but for names of attempts. */
  readonly files: readonly string[]
}

/** The one set that there is, once it is finished: what the registry says, and what lies there. */
const ended = (): Promise<Ended> =>
  inStore(async ({ registry, fileIO, trainingFolder }) => {
    const [set, ...others] = await registry.trainingSets()
    if (set?.manifestPath == null) throw new Error(`there is no finished set: ${JSON.stringify(set)}`)
    expect(others).toEqual([])
    const manifest = JSON.parse(Buffer.from(await fileIO.read(set.manifestPath)).toString()) as Manifest
    expect([set.contentHash, set.rows]).toEqual([manifest.contentHash, manifest.rows])
    const place = `${trainingFolder}/${set.id}`
    const parquet = [...manifest.files, ...manifest.unmatchedFiles].map((file) =>
      file.slice(place.length + 1),
    )
    const there = readdirSync(fileIO.localPath(place))
    expect(there.filter((name) => name.endsWith('.parquet')).sort()).toEqual(parquet.sort())
    return {
      set: { id: set.id, status: set.status, rows: manifest.rows, hash: manifest.contentHash },
      workflowId: set.workflowId,
      files: there.map((name) => name.replace(/-[0-9a-f]{8}\.parquet$/, '.parquet')).sort(),
    }
  })

function expectSame({ set, files }: Ended): void {
  expect({ set, files }).toEqual({ set: undisturbed.set, files: undisturbed.files })
}

test('undisturbed: one part, and nothing beside it', () => {
  expect(undisturbed.set).toMatchObject({ status: 'finished', rows: labels })
  expect(undisturbed.files).toEqual([
    ...['manifest.json', 'part-00000.json', 'part-00000.parquet', 'plan.json', 'unmatched-00000.parquet'],
  ])
})

test('killed before, in and after its steps', { timeout: 120_000 }, async () => {
  const blows: Blow[] = [
    // Once the plan is written and before anybody hears of it.
    { step: 'planTraining', when: 'after' },
    { step: 'buildTrainingPart', when: 'before' },
    // Its table is found, and nothing written.
    { step: 'buildTrainingPart', when: 4 },
    { step: 'buildTrainingPart', when: 'after' },
    // The manifest is there, and the registry does not know.
    { step: 'finishTraining', when: 5 },
  ]
  const killed = await runKilled(temporal, training, { ...faults, blows })
  expect(killed.struck.sort()).toEqual(blows.map(({ step, when }) => `${step}-${when}`).sort())
  expect(killed.attempts).toEqual([
    { step: 'planTraining', attempt: 2 },
    { step: 'buildTrainingPart', attempt: 4 },
    { step: 'finishTraining', attempt: 2 },
  ])
  expectSame(await ended())
})

test('killed while it writes its part, and once that is written', { timeout: 120_000 }, async () => {
  const { config, handle } = await startRun(temporal, training)
  const isWriting = () => partsOf().length > 0
  const isWritten = () => partsOf().length > 1 && partsOf('unmatched').length > 0
  for (const until of [isWriting, isWritten]) {
    const worker = startWorker(config, temporal.address, { ...faults, blows: [] })
    while (!until()) await sleep(2)
    worker.child.kill('SIGKILL')
    await worker.ended
    expect(partsOf('part', '.json')).toEqual([])
    await noticeDeath(temporal.client, handle)
  }
  // What the dead have left is there until the set is whole.
  expect(partsOf()).toHaveLength(2)
  await withWorker(config.taskQueue, () => handle.result())
  expect((await attemptsOf(handle)).map(({ attempt }) => attempt)).toEqual([1, 3, 1])
  expectSame(await ended())
})

/** Files of parts in the folder of the one set. */
function partsOf(kind = 'part', ending = '.parquet'): string[] {
  const place = join(training.config.home, 'training')
  if (!existsSync(place)) return []
  return readdirSync(place, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.includes(`/${kind}-`) && name.endsWith(ending),
  )
}

async function withWorker<Result>(taskQueue: string, use: () => Promise<Result>): Promise<Result> {
  const { child, ended: end } = startWorker({ ...training.config, taskQueue }, temporal.address, {
    ...faults,
    blows: [],
  })
  try {
    return await use()
  } finally {
    child.kill('SIGKILL')
    await end
  }
}

test('every step waits for a worker, and each of them dies', { timeout: 120_000 }, async () => {
  const { waited } = await runScheduledAlone(temporal, training, { ...faults, blows: [] })
  expect(waited).toEqual(['planTraining', 'buildTrainingPart', 'finishTraining'])
  expectSame(await ended())
})

/** Another workflow that wants the same. */
function startAnother(taskQueue: string): Promise<WorkflowHandle> {
  return temporal.client.workflow.start('buildTrainingSet', {
    ...{ taskQueue, workflowId: `${taskQueue}-another`, args: [input] },
  })
}
const planOf = (handle: WorkflowHandle) =>
  handle.executeUpdate<PlannedTraining, []>(updateNames.plan, { args: [] })
const stepsOf = async (handle: WorkflowHandle) => (await attemptsOf(handle)).map(({ step }) => step)

test('of two at once one builds, and both have it', { timeout: 120_000 }, async () => {
  const { config, handle: one } = await startRun(temporal, training)
  const another = await startAnother(config.taskQueue)
  const { plans, results } = await withWorker(config.taskQueue, async () => ({
    plans: await Promise.all([planOf(one), planOf(another)]),
    results: await Promise.all([one.result(), another.result()]),
  }))
  const mine = plans.filter(({ state }) => state === 'mine')
  expect(mine).toHaveLength(1)
  expect(plans.map(({ id }) => id)).toEqual([undisturbed.set.id, undisturbed.set.id])
  expect(results[0]).toEqual(results[1])
  const steps = [await stepsOf(one), await stepsOf(another)]
  expect(steps.filter((all) => all.includes('buildTrainingPart'))).toHaveLength(1)
  expectSame(await ended())
})

/** One that is to build the set and whose worker died when it began to, and another that waits for it. */
async function whileBuilding() {
  const { config, handle: builder } = await startRun(temporal, training)
  const marks = join(folder, 'one')
  rmSync(marks, { recursive: true, force: true })
  mkdirSync(marks)
  const blows: Blow[] = [{ step: 'buildTrainingPart', when: 'before' }]
  const dying = startWorker(config, temporal.address, { ...faults, folder: marks, blows })
  expect(await dying.ended).toBe('SIGKILL')
  return { taskQueue: config.taskQueue, builder, waiting: await startAnother(config.taskQueue) }
}

test('who comes second waits for the first, whose worker has died', { timeout: 120_000 }, async () => {
  const { taskQueue, builder, waiting } = await whileBuilding()
  await withWorker(taskQueue, async () => {
    expect(await planOf(waiting)).toMatchObject({ state: 'building', workflowId: builder.workflowId })
    expect(await planOf(builder)).toMatchObject({ state: 'mine' })
    await noticeDeath(temporal.client, builder)
    expect(await waiting.result()).toEqual(await builder.result())
  })
  expect(await stepsOf(waiting)).not.toContain('buildTrainingPart')
  const state = await ended()
  expectSame(state)
  expect(state.workflowId).toBe(builder.workflowId)
})

test('who waits takes over from a workflow that is terminated', { timeout: 120_000 }, async () => {
  const { taskQueue, builder, waiting } = await whileBuilding()
  const result = await withWorker(taskQueue, async () => {
    expect(await planOf(waiting)).toMatchObject({ state: 'building', workflowId: builder.workflowId })
    await builder.terminate('to see who goes on')
    return (await waiting.result()) as FinishedTraining
  })
  expect(result).toMatchObject({ id: undisturbed.set.id, contentHash: undisturbed.set.hash })
  expect(await stepsOf(waiting)).toContain('buildTrainingPart')
  const state = await ended()
  expectSame(state)
  expect(state.workflowId).toBe(waiting.workflowId)
})

test('of two attempts at one part at once, one leaves nothing', { timeout: 60_000 }, async () => {
  const { store, close } = await training.open()
  try {
    const { planTraining, buildTrainingPart, finishTraining } = createActivities(store)
    const plan = await planTraining({ request: input, workflowId: 'w', runId: 'r' })
    const part = { planPath: plan.planPath, part: 0 }
    // The workflow of one of them was terminated, and its step has not heard of it.
    const [one, other] = await Promise.all([buildTrainingPart(part), buildTrainingPart(part)])
    expect(one).toEqual(other)
    expect([partsOf(), partsOf('unmatched')].map((files) => files.length)).toEqual([1, 1])
    await finishTraining({ planPath: plan.planPath })
  } finally {
    await close()
  }
  expectSame(await ended())
})
