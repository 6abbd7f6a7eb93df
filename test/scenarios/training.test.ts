/** Training sets through the workflow, on a real Temporal server: what comes back, twice, at once, killed and refused. */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { startTrainingSet } from '../../client/index.ts'
import { query } from '../../offline/index.ts'
import type { FinishedTraining, TrainingInput } from '../../workflows/contract.ts'
import { writeOrders } from '../support/orders.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('training')
const features = fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url))
const group = 'shop_orders_v1'
let temporal: TestWorkflowEnvironment
let running: RunningStore

beforeAll(async () => {
  temporal = await startTemporal()
  await writeOrders(join(folder, 'orders'), ['2024-01-01', '2024-01-02', '2024-01-03', '2024-01-04'])
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: features,
      ORDERS_PATH: join(folder, 'orders'),
      ASOF_CLOCK: '2024-01-06T00:30:00Z',
    },
    folder,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
  await run('backfill', { group, from: '2024-01-02', to: '2024-01-05' })
})

afterAll(async () => {
  await running?.stop()
  await temporal?.teardown()
})

let started = 0
async function run<Result>(type: string, input: object): Promise<Result> {
  const handle = await running.client.workflow.start(type, {
    taskQueue: running.taskQueue,
    workflowId: `${type}-${(started += 1)}`,
    args: [input],
  })
  return (await handle.result()) as Result
}

/** The sentence with which a workflow failed. */
async function refusal(input: unknown): Promise<string> {
  try {
    await run('buildTrainingSet', input as object)
  } catch (error) {
    const { cause } = error as { cause?: Error }
    return cause?.message ?? String(error)
  }
  return 'not refused'
}

async function sql(text: string) {
  const connection = await running.store.duckdb.connect()
  try {
    return await query(connection, text)
  } finally {
    connection.closeSync()
  }
}

const build = (input: object) => run<FinishedTraining>('buildTrainingSet', input)

interface Manifest {
  files: string[]
  contentHash: string
  columns: { name: string; nullRate: number }[]
  groups: { matchRate: number }[]
}
async function manifestOf(path: string): Promise<Manifest> {
  return JSON.parse(Buffer.from(await running.store.fileIO.read(path)).toString()) as Manifest
}

async function rowsOf(set: FinishedTraining): Promise<Record<string, unknown>[]> {
  const { files } = await manifestOf(set.manifestPath)
  const paths = files.map((file) => `'${running.store.fileIO.localPath(file)}'`).join(', ')
  return sql(
    `SELECT * FROM read_parquet([${paths}], file_row_number = true) ORDER BY filename, file_row_number`.replace(
      'ORDER BY filename, ',
      'ORDER BY ',
    ),
  )
}

const labels = [
  'at,country,shop,label',
  '2024-01-02T05:09:59.999999Z,at,1,a',
  '2024-01-02T05:10:00Z,at,1,b',
  '2024-01-03T12:00:00+02:00,de,2,c',
  '2024-01-03T12:00:00+02:00,de,2,d',
  '2023-12-31T00:00:00Z,de,2,too early',
  '2024-01-04T12:00:00Z,nowhere,2,unknown',
  '2024-01-04T12:00:00Z,,2,no key',
]

test('labels come back in their order with what was served at their times', async () => {
  writeFileSync(join(folder, 'labels.csv'), labels.join('\n'))
  const request: TrainingInput = {
    name: 'shops',
    service: 'shop_model_v1',
    labels: { path: 'labels.csv', time: 'at' },
    eventTimestamps: true,
    unmatched: true,
  }
  const set = await build(request)
  const rows = await rowsOf(set)
  expect(rows.map(({ label }) => label)).toEqual(['a', 'b', 'c', 'd', 'too early', 'unknown', 'no key'])
  const event = `${group}__event_timestamp`
  expect(rows.map((row) => row[event]?.toString() ?? null)).toEqual([
    '2024-01-02 04:00:00+00',
    '2024-01-02 05:00:00+00',
    '2024-01-03 09:00:00+00',
    '2024-01-03 09:00:00+00',
    null,
    null,
    null,
  ])
  const table = await running.store.catalog.loadTable({ namespace: running.store.store, name: group })
  expect(table.refs().map(({ name }) => name)).toContain(`training-${set.id}`)
  const manifest = await manifestOf(set.manifestPath)
  expect(manifest.groups[0]?.matchRate).toBeCloseTo(4 / 7)
  // The same request on the same state is the set that is there.
  expect(await build(request)).toEqual(set)
})

test('a client is told the plan in the call that starts it', async () => {
  const { plan, jobId, result } = await startTrainingSet(running.client, running, {
    name: 'early',
    service: 'shop_model_v1',
    labels: { path: 'labels.csv', time: 'at' },
  })
  expect(jobId).toMatch(/^training\/early\/[0-9a-f]{16}$/)
  expect(plan).toMatchObject({ name: 'early', labels: 7, parts: 1, columns: 2, state: 'mine' })
  expect((await result()).id).toBe(plan.id)
})

test('what cannot be is refused with its name, value and cure', async () => {
  const base = { name: 'bad', service: 'shop_model_v1' }
  const file = (name: string, lines: string[]) => {
    writeFileSync(join(folder, name), lines.join('\n'))
    return { path: name, time: 'at' }
  }
  const ask = (given: object) => refusal({ ...base, ...given })
  expect(
    await ask({ labels: file('null.csv', ['at,country,shop', ',at,1', '2024-01-03T00:00:00Z,at,1']) }),
  ).toMatch(/1 label has no time: column at is null, first in row 0/)
  expect(await ask({ labels: file('naive.csv', ['at,country,shop', '2024-01-03 00:00:00,at,1']) })).toMatch(
    /without a time zone/,
  )
  expect(await ask({ labels: file('nokey.csv', ['at,land,shop', '2024-01-03T00:00:00Z,at,1']) })).toMatch(
    /no column "country", which stands for shop_orders_v1.country. The columns are at, land, shop/,
  )
  expect(
    await ask({
      labels: {
        ...file('nokey.csv', ['at,land,shop', '2024-01-03T00:00:00Z,at,1']),
        keys: { country: 'land' },
      },
    }),
  ).toBe('not refused')
  expect(await ask({ labels: { path: 'null.csv', time: 'when' } })).toMatch(/no timestamp column "when"/)
  expect(await ask({ labels: file('type.csv', ['at,country,shop', '2024-01-03T00:00:00Z,at,one']) })).toMatch(
    /column shop is VARCHAR, but shop_orders_v1.shop is int64/,
  )
  expect(
    await ask({ labels: file('twin.csv', ['at,country,shop,orders_2h', '2024-01-03T00:00:00Z,at,1,5']) }),
  ).toMatch(/labels have a column orders_2h, and a feature is called so too/)
  expect(await ask({ labels: { path: 'labels.csv', time: 'at' }, service: 'no_model' })).toMatch(
    /no feature service "no_model"/,
  )
  expect(
    await refusal({
      name: 'bad',
      features: [`${group}:nothing`],
      labels: { path: 'labels.csv', time: 'at' },
    }),
  ).toMatch(/no feature "nothing"/)
  expect(
    await refusal({ name: 'bad', features: ['no_v1:x'], labels: { path: 'labels.csv', time: 'at' } }),
  ).toMatch(/no feature group "no_v1"/)
  expect(await ask({ labels: { path: 'absent.csv', time: 'at' } })).toMatch(/there is nothing at/)
  expect(await ask({ labels: { path: 'labels.csv', time: 'at' }, strict: true })).toMatch(
    /intervals of shop_orders_v1 in the labels' range were never published/,
  )
  expect(await ask({ labels: { path: 'labels.csv' } })).toMatch(/labels: time/)
  expect(await refusal({ name: 'bad' })).toMatch(/"labels" is missing/)
  expect(
    readdirSync(join(folder, 'home', 'training', 'labels')).filter((name) => !name.endsWith('.parquet')),
  ).toEqual([])
})

test('an empty label file is an empty, valid set', async () => {
  writeFileSync(join(folder, 'empty.csv'), 'at,country,shop\n')
  const set = await build({
    name: 'empty',
    service: 'shop_model_v1',
    labels: { path: 'empty.csv', time: 'at', timeZone: 'UTC' },
  })
  expect(set.rows).toBe(0)
  const { files } = await manifestOf(set.manifestPath)
  const columns = await sql(
    `DESCRIBE SELECT * FROM read_parquet('${running.store.fileIO.localPath(files[0] ?? '')}')`,
  )
  expect(columns.map(({ column_name }) => column_name)).toEqual([
    'at',
    'country',
    'shop',
    'mean_price_24h',
    'orders_2h',
  ])
})
