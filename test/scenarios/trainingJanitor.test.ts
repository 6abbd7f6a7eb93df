/** The janitor among training sets, on real components: what nobody builds, knows or refers to, and what stays. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { mainBranch } from '../../iceberg/index.ts'
import type { FinishedTraining, PlannedTraining } from '../../workflows/contract.ts'
import type { JanitorResult } from '../../workflows/janitor.ts'
import { tableRefs } from '../support/published.ts'
import { writeOrders } from '../support/orders.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'shop_orders_v1'
const folder = temporaryFolder('training-janitor')
const training = join(folder, 'home', 'training')
let temporal: TestWorkflowEnvironment
let running: RunningStore
const nothing = { failed: 0, sets: 0, files: 0 }

beforeAll(async () => {
  temporal = await startTemporal()
  await writeOrders(join(folder, 'orders'), ['2024-01-01', '2024-01-02', '2024-01-03'])
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: join(folder, 'orders'),
      ASOF_CLOCK: '2024-01-06T00:30:00Z',
    },
    folder,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
  await run('backfill', { group, from: '2024-01-02', to: '2024-01-03' })
})

afterAll(async () => {
  await running?.stop()
  await temporal?.teardown()
})

// Each test leaves behind what the next one would find.
beforeEach(async () => {
  await sweep('0s')
})

async function run<Result>(type: string, input: object): Promise<Result> {
  const workflowId = `${type}-${randomUUID()}`
  const handle = await running.client.workflow.start(type, {
    ...{ taskQueue: running.taskQueue, workflowId, args: [input] },
  })
  return (await handle.result()) as Result
}

const sweep = async (olderThan = '1h') => (await run<JanitorResult>('janitor', { olderThan })).training

const requestOf = (name: string, output?: string) => ({
  ...{ name, service: 'shop_model_v1', labels: labelsOf(name) },
  ...(output === undefined ? {} : { output }),
})
/** Different labels, so that every set has kept its own. */
const labelsOf = (name: string) => ({
  rows: [{ at: '2024-01-02T12:00:00Z', country: 'at', shop: 1, of: name }],
  time: 'at',
})

/** A set as its workflow leaves it that ends after the first part. */
async function begun(
  name: string,
  workflowId = 'gone',
  runId: string = randomUUID(),
): Promise<PlannedTraining> {
  const steps = createActivities(running.store)
  const plan = await steps.planTraining({ request: requestOf(name), workflowId, runId })
  await steps.buildTrainingPart({ planPath: plan.planPath, part: 0 })
  return plan
}

const filesIn = (name: string) => {
  try {
    return readdirSync(join(training, name)).sort()
  } catch {
    return []
  }
}
const keptLabels = () => filesIn('labels')
const statusOf = async (id: string) => (await running.store.registry.trainingSet(id))?.status

function age(...path: string[]): void {
  const old = new Date(Date.now() - 2 * 3_600_000)
  utimesSync(join(training, ...path), old, old)
}
const ageAll = (name: string) => filesIn(name).forEach((file) => age(name, file))

test('a set whose workflow is gone has failed, and may be built by the next one; one that is built stays so', async () => {
  const lost = await begun('lost')
  // Nobody works on this queue, so the workflow stays open.
  const handle = await running.client.workflow.start('buildTrainingSet', {
    ...{ taskQueue: 'nobody', workflowId: 'open', args: [requestOf('open')] },
  })
  const open = await begun('open', 'open', handle.firstExecutionRunId)
  const done = await run<FinishedTraining>('buildTrainingSet', requestOf('done'))
  const before = [lost.id, open.id, done.id, 'labels'].map(filesIn)
  expect(before.every((files) => files.length > 0)).toBe(true)
  for (const id of [lost.id, open.id, done.id, 'labels']) ageAll(id)

  expect(await sweep()).toEqual({ failed: 1, sets: 0, files: 0 })
  expect(await Promise.all([lost.id, open.id, done.id].map(statusOf))).toEqual([
    'failed',
    'building',
    'finished',
  ])
  expect((await running.store.registry.trainingSet(lost.id))?.reason).toMatch(/not open in Temporal any more/)
  expect([lost.id, open.id, done.id, 'labels'].map(filesIn)).toEqual(before)
  expect(await tableRefs(running.store, group)).toEqual(
    ['main', ...[lost.id, open.id, done.id].map((id) => `training-${id}`)].sort(),
  )

  const built = await run<FinishedTraining>('buildTrainingSet', requestOf('lost'))
  expect(built.id).toBe(lost.id)
  await handle.terminate()
  expect(await sweep()).toEqual({ failed: 1, sets: 0, files: 0 })
  expect(await sweep()).toEqual(nothing)
})

test('labels that no plan refers to go when they are old, and so does what a plan has left half written', async () => {
  const before = keptLabels()
  const left = ['old.parquet', 'young.parquet', 'old.jsonl', 'old.parquet.tmp', 'young.parquet.tmp']
  for (const file of left) writeFileSync(join(training, 'labels', file), 'left behind')
  for (const file of left.filter((name) => name.startsWith('old'))) age('labels', file)
  expect(await sweep()).toEqual({ failed: 0, sets: 0, files: 3 })
  expect(keptLabels()).toEqual([...before, 'young.parquet', 'young.parquet.tmp'].sort())
  expect(await sweep('0s')).toEqual({ failed: 0, sets: 0, files: 2 })
  expect(keptLabels()).toEqual(before)
})

test('of a set that the registry does not know nothing stays, once it is old', async () => {
  const { registry } = running.store
  const before = keptLabels()
  const { id } = await begun('unknown')
  const refs = await tableRefs(running.store, group)
  expect(refs).toContain(`training-${id}`)
  await registry.forgetTrainingSet(id)
  mkdirSync(join(training, 'parts_only'))
  writeFileSync(join(training, 'parts_only', 'part-00000-01234567.parquet'), 'left behind')
  expect(await sweep()).toEqual(nothing)

  ageAll('parts_only')
  ageAll('labels')
  const [first = '', ...others] = filesIn(id)
  for (const file of others) age(id, file)
  // One young file may be one of a set that is just being claimed again.
  expect(await sweep()).toEqual({ failed: 0, sets: 1, files: 1 })
  age(id, first)
  // The plan, a part with its counts, and the labels.
  expect(await sweep()).toEqual({ failed: 0, sets: 1, files: 4 })
  expect([filesIn(id), filesIn('parts_only')]).toEqual([[], []])
  expect(keptLabels()).toEqual(before)
  expect(await tableRefs(running.store, group)).toEqual(refs.filter((name) => name !== `training-${id}`))
  // Asked for again it is built as if it had never been.
  expect((await run<FinishedTraining>('buildTrainingSet', requestOf('unknown'))).id).toBe(id)
})

test('a finished set stays where a registry has lost it, its labels and snapshots too', async () => {
  const { registry } = running.store
  const output = join(folder, 'elsewhere')
  const sets = [
    await run<FinishedTraining>('buildTrainingSet', requestOf('own')),
    await run<FinishedTraining>('buildTrainingSet', requestOf('other', output)),
  ]
  for (const { id } of sets) {
    await registry.forgetTrainingSet(id)
    ageAll(id)
  }
  ageAll('labels')
  const before = [...sets.map(({ id }) => id), 'labels'].map(filesIn)
  const refs = await tableRefs(running.store, group)
  expect(await sweep()).toEqual(nothing)
  expect([...sets.map(({ id }) => id), 'labels'].map(filesIn)).toEqual(before)
  expect(await tableRefs(running.store, group)).toEqual(refs)
})

test('tags that are older than they allow go, with their snapshots; one group alone leaves the sets alone', async () => {
  const { catalog, store } = running.store
  const table = await catalog.loadTable({ namespace: store, name: group })
  const refs = await tableRefs(running.store, group)
  const from = table.ref(mainBranch)
  for (const name of ['brief', 'long']) {
    await table.createBranch('side', { from })
    const { snapshotId } = await table.append({ ref: 'side', files: [] })
    await table.createTag(name, { snapshotId, ...(name === 'brief' ? { maxRefAgeMs: 1 } : {}) })
    await table.dropBranch('side')
  }
  const { snapshots } = table.metadata
  await begun('beside')
  const swept = await run<JanitorResult>('janitor', { group, olderThan: '0s' })
  expect(swept).toMatchObject({ tags: 1, snapshots: 1, training: null, groups: [{ group, tags: 1 }] })
  expect(
    (await tableRefs(running.store, group)).filter((name) => !name.startsWith('training-beside')),
  ).toEqual(['long', ...refs].sort())
  await table.refresh()
  expect(table.metadata.snapshots).toHaveLength(snapshots.length - 1)
})
