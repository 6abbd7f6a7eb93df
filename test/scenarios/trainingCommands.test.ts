/**
 * What people do with training sets, on a real store and Temporal server: one job for one request, rebuilt value for value
 * when history has been rewritten, and every way in which a set can have been changed is found and named.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  applyRegistration,
  diffTraining,
  dropTraining,
  finishedSet,
  isVerifiedTraining,
  outdatedTraining,
  planRegistration,
  verifyTraining,
} from '../../activities/index.ts'
import { startTrainingSet, type FinishedTraining, type TrainingRequest } from '../../client/index.ts'
import { planScan, quoteLiteral } from '../../iceberg/index.ts'
import { InputError } from '../../model/index.ts'
import { query } from '../../offline/index.ts'
import { diffText } from '../../scripts/commands/train/diff.ts'
import { openWorkflows } from '../../worker/openWorkflows.ts'
import { writeOrders } from '../support/orders.ts'
import { tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('training-commands')
const orders = join(folder, 'orders')
const days = ['2024-01-01', '2024-01-02', '2024-01-03', '2024-01-04']
const group = 'shop_orders_v1'
let temporal: TestWorkflowEnvironment
let running: RunningStore

beforeAll(async () => {
  temporal = await startTemporal()
  await writeOrders(orders, days)
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-06T00:30:00Z',
    },
    folder,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
  await backfill(false)
  const times = ['2024-01-02T05:30:00Z', '2024-01-03T12:00:00Z', '2024-01-04T23:00:00Z']
  const shops = times.flatMap((at) =>
    ['at', 'de'].flatMap((land) => [1, 2].map((shop) => `${at},${land},${shop}`)),
  )
  writeFileSync(join(folder, 'labels.csv'), ['when,country,shop', ...shops].join('\n'))
})

afterAll(async () => {
  await running?.stop()
  await temporal?.teardown()
})

let started = 0
const backfill = (rewrite: boolean) =>
  running.client.workflow.execute('backfill', {
    taskQueue: running.taskQueue,
    workflowId: `backfill-${(started += 1)}`,
    args: [{ group, from: '2024-01-02', to: '2024-01-05', rewrite }],
  })

const requestOf = (name: string, more: Partial<TrainingRequest> = {}): TrainingRequest => ({
  name,
  service: 'shop_model_v1',
  labels: { path: 'labels.csv', time: 'when' },
  ...more,
})

const start = (request: TrainingRequest) => startTrainingSet(running.client, running, request)
async function build(name: string, more: Partial<TrainingRequest> = {}): Promise<FinishedTraining> {
  const { result } = await start(requestOf(name, more))
  return result()
}

const local = (location: string) => running.store.fileIO.localPath(location)
const manifestOf = async (id: string) => (await finishedSet(running.store, id)).manifest
const firstFile = async (id: string) => local((await manifestOf(id)).files[0] ?? '')

async function all<One>(many: AsyncIterable<One>): Promise<One[]> {
  const found: One[] = []
  for await (const one of many) found.push(one)
  return found
}

/** Writes a Parquet file anew, with a column's values changed. */
async function change(path: string, column: string, sql: string): Promise<void> {
  const connection = await running.store.duckdb.connect()
  try {
    const scratch = `${path}.changed`
    const file = quoteLiteral(path)
    const ids = await query(
      connection,
      `SELECT name, field_id FROM parquet_schema(${file}) WHERE field_id IS NOT NULL`,
    )
    const fieldIds = ids.map((row) => `${String(row['name'])}: ${Number(row['field_id'])}`).join(', ')
    await query(
      connection,
      `COPY (SELECT * REPLACE (${sql} AS ${column}) FROM read_parquet(${file})) TO ${quoteLiteral(scratch)}
       (FORMAT parquet${ids.length === 0 ? '' : `, FIELD_IDS {${fieldIds}}`})`,
    )
    copyFileSync(scratch, path)
    rmSync(scratch)
  } finally {
    connection.closeSync()
  }
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'not refused',
    (error: unknown) => error,
  )
}

test('two identical requests at once are one job, and both are told the same', async () => {
  const [one, other] = await Promise.all([start(requestOf('twins')), start(requestOf('twins'))])
  expect(other.jobId).toBe(one.jobId)
  expect(other.plan).toEqual(one.plan)
  expect(one.plan).toMatchObject({ name: 'twins', state: 'mine', labels: 12, columns: 2 })
  expect(await other.result()).toEqual(await one.result())
  const executions = running.client.workflow.list({ query: `WorkflowId = '${one.jobId}'` })
  await expect.poll(async () => (await all(executions)).length, { timeout: 20_000 }).toBe(1)
  // The same again, when it has ended, is told of the set that is there.
  const again = await start(requestOf('twins'))
  expect(again.plan).toMatchObject({ id: one.plan.id, state: 'finished' })
  expect((await start(requestOf('twins', { unmatched: true }))).plan.id).not.toBe(one.plan.id)
})

test('a request that cannot be planned is refused with the sentence of whoever found out', async () => {
  const unknown = await refusal(start(requestOf('bad', { service: 'no_model' })))
  expect(unknown).toBeInstanceOf(InputError)
  expect((unknown as Error).message).toMatch(
    /no feature service "no_model"\. The definitions have shop_model_v1/,
  )
  const shapeless = await refusal(start({ name: 'bad', labels: { path: 'x.csv', time: 'at' } }))
  expect((shapeless as Error).message).toMatch(/name either a service or a list of features/)
  const long = await refusal(start(requestOf('bad', { model: 'x'.repeat(600) })))
  expect((long as Error).message).toMatch(/"model" has 600 characters/)
  const rows = Array.from({ length: 10_000 }, (_, shop) => ({
    when: '2024-01-03T00:00:00Z',
    country: 'at',
    shop,
  }))
  const large = await refusal(start(requestOf('bad', { labels: { rows, time: 'when' } })))
  expect(large).toBeInstanceOf(InputError)
  expect((large as Error).message).toMatch(/training set bad has \d+ KiB.*Write it to a file/)
})

test('a set is built again with the same content, and nothing is left of that', async () => {
  const set = await build('proved', { unmatched: true })
  const before = readdirSync(join(folder, 'home', 'training')).sort()
  const report = await verifyTraining(running.store, set.id)
  expect(report).toEqual({
    ...{ id: set.id, rows: 12, contentHash: set.contentHash, rebuiltHash: set.contentHash },
    ...{ problem: null, differing: [], files: [] },
  })
  expect(isVerifiedTraining(report)).toBe(true)
  expect(readdirSync(join(folder, 'home', 'training')).sort()).toEqual(before)
})

test.each(['parquet', 'arrow'] as const)('%s files that were changed since are found', async (format) => {
  const { id, contentHash } = await build(`changed_${format}`, { format })
  const path = await firstFile(id)
  if (format === 'parquet') await change(path, 'orders_2h', 'orders_2h + 1')
  else writeFileSync(path, 'ARROW1')
  const report = await verifyTraining(running.store, id)
  expect(isVerifiedTraining(report)).toBe(false)
  expect(report).toMatchObject({ contentHash, rebuiltHash: contentHash, differing: [] })
  expect(report.files).toEqual([
    {
      ...{ file: `file://${path}`, finding: 'changed', detail: null },
      differing: format === 'arrow' ? [] : [{ column: 'orders_2h', blocks: [0] }],
    },
  ])
  writeFileSync(path, '')
  const [unreadable] = (await verifyTraining(running.store, id)).files
  expect(unreadable?.finding).toBe(format === 'arrow' ? 'changed' : 'unreadable')
  rmSync(path)
  expect((await verifyTraining(running.store, id)).files).toMatchObject([{ finding: 'missing' }])
})

test('labels, notes, lists and a manifest that were changed since are found', async () => {
  const { id, manifestPath } = await build('tampered', { unmatched: true })
  const { labels, unmatchedFiles } = await manifestOf(id)
  const verdict = async () =>
    (await verifyTraining(running.store, id)).files.map(({ file, finding }) => ({ file, finding }))
  const manifest = await running.store.fileIO.read(manifestPath)
  const text = Buffer.from(manifest).toString()
  writeFileSync(local(manifestPath), text.replace(/"rows": ?12/, '"rows":11'))
  expect(await verdict()).toEqual([{ file: manifestPath, finding: 'changed' }])
  writeFileSync(local(manifestPath), manifest)
  expect(await verdict()).toEqual([])

  const list = unmatchedFiles?.[0] ?? ''
  const connection = await running.store.duckdb.connect()
  await query(
    connection,
    `COPY (SELECT CAST(0 AS BIGINT) AS "row", 'nobody' AS "group") TO ${quoteLiteral(local(list))} (FORMAT parquet)`,
  )
  connection.closeSync()
  expect(await verdict()).toEqual([{ file: list, finding: 'changed' }])
  rmSync(local(list))
  expect(await verdict()).toEqual([{ file: list, finding: 'missing' }])

  await change(local(labels.path), 'shop', 'shop + 1')
  expect(await verdict()).toContainEqual({ file: labels.path, finding: 'changed' })
  rmSync(local(labels.path))
  const report = await verifyTraining(running.store, id)
  expect(report.problem).toMatch(/labels that were kept/)
  expect(report.files).toContainEqual(expect.objectContaining({ file: labels.path, finding: 'missing' }))
})

test('a pinned table whose values were changed makes another set, and the columns are named', async () => {
  const { id, contentHash } = await build('undermined')
  const table = await running.store.catalog.loadTable({ namespace: running.store.store, name: group })
  const { files } = await planScan(table)
  const kept = files.map(({ filePath }) => ({ path: local(filePath), copy: `${local(filePath)}.kept` }))
  for (const { path, copy } of kept) copyFileSync(path, copy)
  try {
    for (const { path } of kept) await change(path, 'mean_price_24h', 'mean_price_24h * 2')
    const report = await verifyTraining(running.store, id)
    expect(report.rebuiltHash).not.toBe(contentHash)
    expect(report.differing).toEqual([{ column: 'mean_price_24h', blocks: [0] }])
    expect(report.files).toEqual([])
    expect(isVerifiedTraining(report)).toBe(false)
  } finally {
    for (const { path, copy } of kept) {
      copyFileSync(copy, path)
      rmSync(copy)
    }
  }
  expect(isVerifiedTraining(await verifyTraining(running.store, id))).toBe(true)
})

test('history that is rewritten leaves the old set as it was, and says what is new in the next', async () => {
  const old = await build('rewritten')
  await writeOrders(orders, days, 1.5)
  await backfill(true)
  const report = await verifyTraining(running.store, old.id)
  expect(report).toMatchObject({ rebuiltHash: old.contentHash, problem: null, files: [] })

  const next = await build('rewritten')
  expect(next.id).not.toBe(old.id)
  expect(next.contentHash).not.toBe(old.contentHash)
  const [before, after] = [await manifestOf(old.id), await manifestOf(next.id)]
  const differences = diffTraining(before, after)
  expect(new Set(differences.map(({ aspect }) => aspect))).toEqual(
    new Set(['pins', 'distributions', 'content']),
  )
  expect(differences).toContainEqual({
    ...{ aspect: 'pins', what: `${group}: snapshot` },
    ...{ before: before.groups[0]?.pin.snapshotId, after: after.groups[0]?.pin.snapshotId },
  })
  expect(differences.map(({ what }) => what)).toContain('mean_price_24h: max')
  expect(differences.map(({ what }) => what)).not.toContain('orders_2h: max')
  expect(diffText(differences)).toMatch(/^\S*pins[^]*shop_orders_v1: snapshot: \d+ → \d+\n[^]*distributions/)
  expect(diffTraining(before, before)).toEqual([])
  expect(diffText([])).toBe('nothing')
  expect(await outdatedTraining(running.store, before)).toEqual([])
})

test('definitions that have changed since make a set outdated', async () => {
  const { id } = await build('fixed')
  const manifest = await manifestOf(id)
  const [planned] = manifest.groups
  if (planned === undefined) throw new Error('the set has a group')
  const withFingerprints = (fingerprints: Record<string, string>) =>
    outdatedTraining(running.store, { ...manifest, groups: [{ ...planned, fingerprints }] })
  expect(await withFingerprints({ ...planned.fingerprints, orders_2h: 'another' })).toEqual([
    `${group}.orders_2h has another definition now.`,
  ])
  expect(await withFingerprints({ gone: 'x' })).toEqual([`${group}.gone is not registered any more.`])
  const pin = { ...planned.pin, group: 'nobody_v1' }
  expect(await outdatedTraining(running.store, { ...manifest, groups: [{ ...planned, pin }] })).toEqual([
    'Feature group nobody_v1 is not registered any more.',
  ])
  const onDemand = [{ name: 'ratio', hash: 'x', request: {}, columns: [] }]
  expect(await outdatedTraining(running.store, { ...manifest, onDemand })).toEqual([
    'The on-demand features ratio are not defined any more.',
  ])
})

test('a snapshot that was removed is said to be gone, and the files still are compared', async () => {
  const { id } = await build('removed')
  const table = await running.store.catalog.loadTable({ namespace: running.store.store, name: group })
  await table.createBranch('aside', { from: table.ref('main') })
  const aside = await table.append({ ref: 'aside', files: [] })
  const pinned = await build('removed', { snapshots: { [group]: String(aside.snapshotId) } })
  expect(pinned.id).not.toBe(id)
  await table.dropBranch('aside')
  await table.removeUnreachable()
  expect(isVerifiedTraining(await verifyTraining(running.store, pinned.id))).toBe(true)
  await table.dropTag(`training-${pinned.id}`)
  expect(await table.removeUnreachable()).toBeGreaterThan(0)
  const report = await verifyTraining(running.store, pinned.id)
  expect(report).toMatchObject({ rebuiltHash: null, files: [] })
  expect(report.problem).toMatch(
    /pinned to snapshot \d+ of shop_orders_v1, and that snapshot was removed.*ask for it anew/,
  )
  expect(isVerifiedTraining(report)).toBe(false)
})

test('a set that is dropped leaves nothing but what is somebody’s own', async () => {
  const output = join(folder, 'theirs')
  const [own, elsewhere] = [await build('dropped', { model: 'sales' }), await build('dropped', { output })]
  const { labels } = await manifestOf(own.id)
  expect((await running.store.registry.usage(group)).map(({ model }) => model)).toContain('sales')
  expect(await dropTraining(running.store, own.id)).toEqual({ id: own.id, groups: [group], leftAlone: null })
  expect(await running.store.registry.trainingSet(own.id)).toBeNull()
  expect(await running.store.registry.usage(group)).toEqual([])
  expect(await tableRefs(running.store, group)).not.toContain(`training-${own.id}`)
  expect(await tableRefs(running.store, group)).toContain(`training-${elsewhere.id}`)
  expect(existsSync(local(labels.path))).toBe(false)
  expect(await all(running.store.fileIO.list(`${running.store.trainingFolder}/${own.id}`))).toEqual([])
  expect(await dropTraining(running.store, elsewhere.id)).toMatchObject({ leftAlone: output })
  expect(readdirSync(output).sort()).toEqual([
    expect.stringMatching(/^manifest/),
    expect.stringMatching(/^part/),
  ])
  expect(await refusal(dropTraining(running.store, own.id))).toMatchObject({
    message: expect.stringMatching(/no training set dropped_.*asof train list/) as string,
  })
  // It can be asked for again.
  expect((await build('dropped', { model: 'sales' })).contentHash).toBe(own.contentHash)
})

test('a set that is being built is not dropped; one that nobody builds any more is', async () => {
  const { store } = running
  const id = 'stuck_0123456789abcdef'
  mkdirSync(join(folder, 'home', 'training', id))
  const building = await running.client.workflow.start('backfill', {
    // No worker listens there: it stays open.
    taskQueue: 'nobody',
    workflowId: 'stuck',
    args: [{ group, from: '2024-01-02', to: '2024-01-05' }],
  })
  const claim = {
    id,
    name: 'stuck',
    planPath: `${store.trainingFolder}/${id}/plan.json`,
    startedAt: await store.now(),
  }
  await store.registry.claimTrainingSet({
    ...claim,
    workflowId: 'stuck',
    runId: building.firstExecutionRunId,
  })
  const asking = { ...store, isOpen: openWorkflows(temporal.connection, 'default') }
  expect(await refusal(dropTraining(asking, id))).toMatchObject({
    message: expect.stringMatching(/is being built by workflow stuck.*cancel the workflow/) as string,
  })
  // Nobody can say so where nothing runs.
  expect(await refusal(dropTraining(store, id))).toMatchObject({
    message: expect.stringMatching(/asof dev/) as string,
  })
  expect(await refusal(verifyTraining(store, id))).toMatchObject({
    message: expect.stringMatching(/is not finished; workflow stuck builds it/) as string,
  })
  await building.terminate()
  expect(await dropTraining(asking, id)).toMatchObject({ groups: [] })
  expect(await store.registry.trainingSet(id)).toBeNull()
})
