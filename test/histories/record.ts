/** `npm run record-histories`: runs the workflows on a real server and writes their histories beside this file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WorkflowHandle } from '@temporalio/client'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import { updateNames } from '../../workflows/names.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import { writeOrders } from '../support/orders.ts'
import { runStore, startTemporal } from '../support/temporal.ts'

const folder = mkdtempSync(join(tmpdir(), 'asof-histories-'))
const orders = join(folder, 'orders')
const days = ['2024-01-01', '2024-01-02', '2024-01-03', '2024-01-04']
await writeOrders(orders, days)
const temporal = await startTemporal()
const running = await runStore(
  temporal,
  {
    ASOF_HOME: join(folder, 'home'),
    ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
    ORDERS_PATH: orders,
    ASOF_CLOCK: '2024-01-05T00:30:00Z',
  },
  folder,
)
const { client, taskQueue, store } = running

/** Without names all histories are recorded, with names only those. */
const wanted = process.argv.slice(2)

/** Nothing of the machine that recorded it stays in a history; a replay reads none of it. */
function scrubbed(history: string): string {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  return history.replaceAll(root, '').replaceAll(hostname(), 'recorder')
}

async function record(name: string, type: string, input: object, meanwhile?: (handle: WorkflowHandle) => Promise<void>) {
  const handle = await client.workflow.start(type, { taskQueue, workflowId: name, args: [input] })
  await meanwhile?.(handle)
  await handle.result().catch(() => undefined)
  await keep(name, handle)
}

async function keep(name: string, handle: WorkflowHandle) {
  if (wanted.length > 0 && !wanted.includes(name)) return
  const text = scrubbed(historyToJSON(await handle.fetchHistory()))
  writeFileSync(new URL(`${name}.json`, import.meta.url), `${text}\n`)
  console.log(`${name}: ${text.length} characters`)
}

/** Decides as soon as a gate holds the run: until then the update's validator refuses. */
const decide = (decision: GateDecision) => async (handle: WorkflowHandle) => {
  for (;;) {
    try {
      await handle.executeUpdate<string, [GateDecision]>(updateNames.resolveGate, { args: [decision] })
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

try {
  await applyRegistration(store, await planRegistration(store))
  const group = 'shop_orders_v1'
  const range = { from: '2024-01-02', to: '2024-01-04' }
  await record('backfill-published', 'backfill', { group, ...range })
  await record('backfill-nothing-to-do', 'backfill', { group, ...range })
  await record('backfill-failed', 'backfill', { group, from: '2024-01-02', to: '2025-01-01' })
  await record('materialize', 'materialize', { group, full: true })
  await record('refresh-published', 'refresh', { group })
  await record('refresh-nothing-to-do', 'refresh', { group })
  await writeOrders(orders, ['2024-01-03'], 1_000)
  const rewrite = { group, from: '2024-01-03', to: '2024-01-04', rewrite: true }
  await record('backfill-aborted', 'backfill', rewrite, decide({ decision: 'abort', reason: 'wrong prices' }))
  await record('backfill-overridden', 'backfill', rewrite, decide({ decision: 'override', name: 'Ada', reason: 'right prices' }))
  await writeOrders(orders, ['2024-01-04'], 1_000)
  await moveStoreClock(store.registry, { forwardMs: 3_600_000 })
  await record('refresh-parked', 'refresh', { group })
  const [waiting] = await store.registry.runs({ group, limit: 1 })
  const parked = client.workflow.getHandle(waiting?.workflowId ?? '')
  await decide({ decision: 'override', name: 'Ada', reason: 'right prices' })(parked)
  await parked.result()
  await keep('parked-overridden', parked)
  await record('janitor', 'janitor', { olderThan: '0s' })
  const label = { at: '2024-01-03T12:00:00Z', country: 'at', shop: 1 }
  const set = { name: 'recorded', service: 'shop_model_v1', labels: { rows: [label], time: 'at' } }
  await record('training-built', 'buildTrainingSet', set)
  await record('training-refused', 'buildTrainingSet', { ...set, service: 'no_model_v1' })
  await record('janitor-training', 'janitor', { olderThan: '0s' })
} finally {
  await running.stop()
  await temporal.teardown()
  rmSync(folder, { recursive: true, force: true })
}
