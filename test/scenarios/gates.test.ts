/** Gates that look beyond the staged rows, through the workflow: what blocks, what a person sees, what override leaves. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import type { WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { allowedValues, collectDefinitions, queryGate, type Gate } from '../../model/index.ts'
import { toJson } from '../../scripts/output.ts'
import { showRun } from '../../scripts/commands/showRun.ts'
import type { backfill } from '../../workflows/backfill.ts'
import { queryNames, updateNames } from '../../workflows/names.ts'
import type { RunProgress } from '../../workflows/progress.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import { sales } from '../fixtures/gatedShop.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'sales_v1'
const folder = temporaryFolder('gates')
let temporal: TestWorkflowEnvironment
let running: RunningStore

/** An order an hour and shop, at 10 plus the shop's number; on the last days three shops are gone, and one is dear. */
async function writeSales(path: string): Promise<void> {
  mkdirSync(path, { recursive: true })
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  try {
    await connection.run(
      `COPY (SELECT TIMESTAMP '2024-01-01' + INTERVAL 1 DAY * day + INTERVAL 1 HOUR * hour AS at, shop::BIGINT AS shop,
               (CASE WHEN day = 4 AND shop = 2 THEN 100 ELSE 10 + shop END)::DOUBLE AS price
             FROM range(5) AS days(day), range(24) AS hours(hour), range(1, 11) AS shops(shop)
             WHERE day < 3 OR shop <= 7)
       TO '${join(path, 'orders.parquet')}' (FORMAT parquet)`,
    )
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

beforeAll(async () => {
  const orders = join(folder, 'orders')
  await writeSales(orders)
  temporal = await startTemporal()
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/gatedShop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-07T00:00:00Z',
    },
    folder,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
})
afterAll(async () => {
  await running?.stop()
  await temporal?.teardown()
})

const start = (from: string, to: string) =>
  running.client.workflow.start('backfill', {
    taskQueue: running.taskQueue,
    workflowId: `${running.taskQueue}-${to}`,
    args: [{ group, from, to }],
  }) as Promise<WorkflowHandle<typeof backfill>>

async function untilWaiting(handle: WorkflowHandle<typeof backfill>): Promise<RunProgress> {
  for (;;) {
    const progress = await handle.query<RunProgress>(queryNames.progress)
    if (progress.step === 'waiting') return progress
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** What the Temporal UI shows of a run. */
async function currentDetails(handle: WorkflowHandle<typeof backfill>): Promise<string> {
  const shown = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata')
  return shown.currentDetails ?? ''
}

test('good days pass every gate; the first one has nothing to compare with', async () => {
  const first = await (await start('2024-01-01', '2024-01-04')).result()
  expect(first).toMatchObject({ outcome: 'published', intervals: 3, rows: 30 })
  const reports = await running.store.registry.gateReports(first.runId)
  expect(reports.map(({ name, verdict }) => `${name} ${verdict}`)).toEqual([
    'allowed_values(orders_1d) pass',
    'coverage pass',
    'psi(mean_price_1d) pass',
    'jensen_shannon(orders_1d) pass',
    'known_values pass',
    'query(no_price_leap) pass',
  ])
  expect(reports[4]?.figures).toEqual({ wrong: 0, checked: 1, known: 2 })
  // The shops that are gone get their last row, so nobody is missing yet.
  const second = await (await start('2024-01-04', '2024-01-05')).result()
  const after = await running.store.registry.gateReports(second.runId)
  expect(after[1]).toMatchObject({ name: 'coverage', verdict: 'pass', figures: { served: 10, covered: 10 } })
  expect(after[2]).toMatchObject({ name: 'psi(mean_price_1d)', figures: { published: 30, staged: 10 } })
  expect(after[3]?.figures['drift']).toBeGreaterThan(0)
})

test('a bad day blocks by coverage and by query, warns of drift, and says so to a person everywhere', async () => {
  const handle = await start('2024-01-05', '2024-01-06')
  const progress = await untilWaiting(handle)
  const { runId } = progress
  const reports = await running.store.registry.gateReports(runId)
  expect(Object.fromEntries(reports.map(({ name, verdict }) => [name, verdict]))).toEqual({
    'allowed_values(orders_1d)': 'pass',
    coverage: 'block',
    'psi(mean_price_1d)': 'warn',
    'jensen_shannon(orders_1d)': 'pass',
    known_values: 'pass',
    'query(no_price_leap)': 'block',
  })
  expect(reports[1]).toMatchObject({
    figures: { served: 10, covered: 7, share: 0.7 },
    violations: ['8', '9', '10'].map((shop) => ({ shop, 'last served': '2024-01-05T00:00:00.000000Z' })),
  })
  expect(reports[5]?.violations).toEqual([{ shop: '2', now: '100.0', before: '12.0' }])

  const details = await currentDetails(handle)
  expect(details).toContain(
    '| block | coverage: 7 of the 10 entities of the last 1 interval published before have a row (70%)',
  )
  expect(details).toContain(`Offending rows: \`asof show ${runId}\``)

  const decision: GateDecision = { decision: 'override', name: 'Ada', reason: 'three shops have closed' }
  await handle.executeUpdate<string, [GateDecision]>(updateNames.resolveGate, { args: [decision] })
  expect(await handle.result()).toMatchObject({ outcome: 'published', rows: 7 })
  expect(await currentDetails(handle)).toContain('Overridden by Ada: three shops have closed')

  const shown = await showRun(running.store, runId)
  expect(shown?.text).toMatch(/^overridden by Ada at 2024-01-07T.*: three shops have closed$/m)
  expect(shown?.text).toMatch(/^block {4}coverage +3 +served 10, covered 7, share 0\.7, min 0\.9$/m)
  expect(shown?.text).toMatch(
    /^block query\(no_price_leap\): the query found 1 row\.\nshop +now +before\n2 +100\.0 +12\.0$/m,
  )
  expect(JSON.parse(toJson(shown?.data))).toMatchObject({
    run: { runId, status: 'published' },
    gates: JSON.parse(JSON.stringify(reports)) as unknown,
    overrides: [{ name: 'Ada', reason: 'three shops have closed' }],
  })
})

test.each<[string, Gate, RegExp]>([
  [
    'a query over a column that is not there',
    queryGate('mine', 'SELECT nobody FROM staged'),
    /^feature group sales_v1: gate query\(mine\): its query does not fit the table\..*nobody/s,
  ],
  [
    'a value that the feature cannot have',
    allowedValues('orders_1d', ['many']),
    /gate allowed_values\(orders_1d\) cannot check feature orders_1d: "many" is no int64/,
  ],
])('registration refuses %s', async (_name, gate, sentence) => {
  const definitions = collectDefinitions({ sales: { ...sales, gates: [gate] } })
  await expect(planRegistration({ ...running.store, definitions })).rejects.toThrow(sentence)
})
