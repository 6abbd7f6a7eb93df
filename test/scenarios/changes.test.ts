/** Definitions that change over a published history, on real components: added features, fixes, breaks, retirement. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WorkflowFailedError } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  applyRegistration,
  finishedSet,
  planRegistration,
  retire,
  type RegistrationPlan,
} from '../../activities/index.ts'
import { planScan, readDataFiles } from '../../iceberg/index.ts'
import { ConflictError, parseInstant } from '../../model/index.ts'
import { planText } from '../../scripts/commands/plan.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import type { TrainingInput } from '../../workflows/contract.ts'
import { buildTraining } from '../support/steps.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { writeOrders } from '../support/orders.ts'

const group = 'shop_orders_v1'
const folder = temporaryFolder('changes')
const orders = join(folder, 'orders')
const model = fileURLToPath(new URL('../../model/index.ts', import.meta.url))
let temporal: TestWorkflowEnvironment

beforeAll(async () => {
  temporal = await startTemporal()
  await writeOrders(
    orders,
    ['01', '02', '03', '04', '05'].map((day) => `2024-01-${day}`),
  )
})
afterAll(() => temporal?.teardown())

const orders2h = "orders_2h: count({ over: '2h' })"
const items24h = "items_24h: sum('items', { over: '24h' })"
const maxPrice24h = "max_price_24h: max('price', { over: '24h' })"
const lastMax6h = "last_max_6h: max('price', { over: '6h', where: gt('items', 3) })"
const base = [orders2h, items24h]

let modules = 0
/** A definitions module of its own, so that no loader remembers the one before. */
function define(features: readonly string[], more = '', service = "['orders_2h']", version = 1): string {
  const path = join(folder, `definitions-${(modules += 1)}.ts`)
  writeFileSync(
    path,
    `import { count, entity, featureGroup, featureService, gt, max, nullRate, parquet, sum } from '${model}'
     const orders = parquet({ name: 'orders', path: '${orders}', timestamp: 'at', timeZone: 'UTC', completeFrom: '2024-01-01' })
     const shop = entity({ name: 'shop', keys: { country: 'string', shop: 'int64' } })
     export const group = featureGroup({ name: 'shop_orders', version: ${version}, owner: 'a', description: 'b', entity: shop,
       source: orders, every: '1h', availableAfter: '10m', features: { ${features.join(', ')} },
       gates: [nullRate('orders_2h', { max: 0 })], ${more} })
     export const model = featureService({ name: 'model', features: [group.pick(...${service})] })`,
  )
  return path
}

const environmentOf = (name: string, definitions: string) => ({
  ASOF_HOME: join(folder, name),
  ASOF_FEATURES: definitions,
  ASOF_CLOCK: '2024-01-06T00:30:00Z',
})

const configOf = (name: string, definitions: string) =>
  readConfig({ ASOF_MEMORY_LIMIT: '500MB', ...environmentOf(name, definitions) }, folder)

interface Opened extends RunningStore {
  readonly plan: RegistrationPlan
}

/** Opens the store with these definitions, applies them and hands it over; it is closed again afterwards. */
async function withDefinitions<T>(
  name: string,
  definitions: string,
  use: (store: Opened) => Promise<T>,
): Promise<T> {
  const running = await runStore(temporal, environmentOf(name, definitions), folder)
  try {
    const plan = await planRegistration(running.store)
    await applyRegistration(running.store, plan)
    return await use({ ...running, plan })
  } finally {
    await running.stop()
  }
}

let started = 0
const run = (store: RunningStore, from: string, to: string): Promise<BackfillResult> =>
  store.client.workflow.execute('backfill', {
    taskQueue: store.taskQueue,
    workflowId: `${store.taskQueue}-${(started += 1)}`,
    args: [{ group, from, to }],
  })

/** Rows of `main` with these columns, as text: equal text is equal to the bit. */
async function columnsOf(store: Store, columns: string): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const { files, schema } = await planScan(table)
  const rows = readDataFiles({ schema, files, localPath: (location) => store.fileIO.localPath(location) })
  const connection = await store.duckdb.connect()
  try {
    const reader = await connection.runAndReadAll(`SELECT ${columns} FROM ${rows} ORDER BY ALL`)
    return reader.getRowsJson().map((row) => JSON.stringify(row))
  } finally {
    connection.closeSync()
  }
}

const range = (from: string, to: string) => ({ from: parseInstant(from), to: parseInstant(to) })

test('an added feature is filled into the rows that are there, which stay bit for bit', async () => {
  const before = await withDefinitions('additive', define(base), async (store) => {
    await run(store, '2024-01-02', '2024-01-04')
    return columnsOf(store.store, '*')
  })
  const wider = define([...base, lastMax6h], '', "['orders_2h', 'last_max_6h']")
  await withDefinitions('additive', wider, async (store) => {
    const [planned] = store.plan.groups
    expect(planned?.change).toMatchObject({ verdict: 'additive', added: ['last_max_6h'], fixed: [] })
    expect(planned?.impact).toMatchObject({ recomputed: 0, filled: 48 })
    expect(planText(store.plan)).toMatch(/additive.*shop_orders_v1[^]*is filled into 48 published intervals/)
    expect(store.plan.services[0]?.change.verdict).toBe('additive')
    expect(await columnsOf(store.store, '* EXCLUDE (last_max_6h)')).toEqual(before)
    expect(await columnsOf(store.store, 'DISTINCT last_max_6h')).toEqual(['[null]'])

    const training: TrainingInput = {
      name: 'filled',
      features: [{ group, features: ['orders_2h', 'last_max_6h'] }],
      labels: { entitiesOf: group, at: '2024-01-05T00:30:00Z' },
    }
    await expect(buildTraining(store.store, training)).rejects.toThrow(
      /48 published intervals of shop_orders_v1 .* have last_max_6h as it was computed by another definition/,
    )
    const filled = await run(store, '2024-01-02', '2024-01-05')
    expect(filled).toMatchObject({ outcome: 'published', intervals: 72, alreadyPublished: 0 })
    const rows = await columnsOf(store.store, '* EXCLUDE (last_max_6h)')
    expect(rows.filter((row) => before.includes(row))).toEqual(before)
    expect(rows.length).toBeGreaterThan(before.length)

    const published = await store.store.registry.published(group, range('2024-01-02', '2024-01-05'))
    expect(published.map((interval) => interval.filled.join())).toEqual([
      ...Array.from({ length: 48 }, () => 'last_max_6h'),
      ...Array.from({ length: 24 }, () => ''),
    ])
    expect(await run(store, '2024-01-02', '2024-01-05')).toMatchObject({ outcome: 'nothing_to_do' })
    expect(await tableRefs(store.store, group)).toEqual(['main'])
    expect(await orphanFiles(store.store, group)).toEqual([])
    const { id } = await buildTraining(store.store, training)
    const { manifest } = await finishedSet(store.store, id)
    expect(manifest.groups[0]).toMatchObject({ mixed: {}, filled: { last_max_6h: 48 } })

    await withDefinitions('additive-fresh', wider, async (fresh) => {
      await run(fresh, '2024-01-02', '2024-01-05')
      expect(await publishedRows(store.store, group)).toEqual(await publishedRows(fresh.store, group))
    })
  })
})

test('what was computed before a fix counts as missing, what comes after it does not', async () => {
  await withDefinitions('fix', define(base), (store) => run(store, '2024-01-02', '2024-01-03'))
  const wrong = define(["orders_2h: count({ over: '3h' })", items24h])
  await expect(withDefinitions('fix', wrong, () => Promise.resolve())).rejects.toThrow(
    /Define it as version 2/,
  )
  const fixed = define(["orders_2h: count({ over: '3h', fix: 'two hours were one too few' })", items24h])
  await withDefinitions('fix', fixed, async (store) => {
    const [planned] = store.plan.groups
    expect(planned?.change).toMatchObject({ verdict: 'fix', fixed: ['orders_2h'] })
    expect(planned?.impact).toEqual({
      ...{ recomputed: 24, filled: 0 },
      ...{ gates: ['null_rate(orders_2h)'], services: ['model'] },
    })
    expect(planText(store.plan)).toMatch(
      /makes 24 published intervals missing[^]*touches feature services model/,
    )
    expect(await run(store, '2024-01-02', '2024-01-02T12:00:00Z')).toMatchObject({ intervals: 12 })
    expect(await run(store, '2024-01-02', '2024-01-04')).toMatchObject({
      intervals: 36,
      alreadyPublished: 12,
    })
    await withDefinitions('fix-fresh', fixed, async (fresh) => {
      await run(fresh, '2024-01-02', '2024-01-04')
      expect(await publishedRows(store.store, group)).toEqual(await publishedRows(fresh.store, group))
    })
  })
})

test('a worker with other definitions refuses to compute, and a new version stands beside the old one', async () => {
  await withDefinitions('versions', define(base), (store) => run(store, '2024-01-02', '2024-01-03'))
  const other = await runStore(
    temporal,
    environmentOf('versions', define(["orders_2h: count({ over: '3h' })", items24h])),
    folder,
  )
  try {
    const refused: unknown = await run(other, '2024-01-03', '2024-01-04').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(WorkflowFailedError)
    expect((refused as WorkflowFailedError).cause?.message).toMatch(/this worker has.*asof plan/)
  } finally {
    await other.stop()
  }
  await withDefinitions('versions', define(base, '', "['orders_2h']", 1), async (store) => {
    await expect(retire(store.store, group)).rejects.toThrow(
      /shop_orders_v1 is used by feature service model/,
    )
  })
  const second = define(base, '', "['orders_2h']", 2)
  const store = await openStore(configOf('versions', second))
  try {
    const plan = await planRegistration(store)
    expect(plan.warnings.join('\n')).toMatch(/shop_orders_v1 is registered and not defined any more/)
    // The model's contract names the old version; it is not moved silently.
    expect(plan.services[0]?.change.verdict).toBe('breaking')
    await expect(applyRegistration(store, plan)).rejects.toThrow(/give the service another name/)
    await applyRegistration(store, { ...plan, services: [] })
    expect((await store.registry.groups()).map(({ id }) => id)).toEqual([group, 'shop_orders_v2'])
  } finally {
    await store.close()
  }
})

test('retired is a group that no service takes and no run computes; its table stays', async () => {
  const definitions = define(base)
  await withDefinitions('retired', definitions, async (store) => {
    await run(store, '2024-01-02', '2024-01-03')
    const rows = await publishedRows(store.store, group)
    await expect(retire(store.store, 'nobody_v1')).rejects.toThrow(/no registered feature group or service/)
    await expect(retire(store.store, 'model')).rejects.toThrow(/still defined/)
    const withoutService = {
      ...store.store,
      definitions: { ...store.store.definitions, services: new Map() },
    }
    const noDefinitions = { groups: new Map(), services: new Map(), onDemand: new Map() }
    expect(await retire(withoutService, 'model')).toBe('service')
    await expect(retire(store.store, group)).rejects.toThrow(/still defined/)
    expect(await retire({ ...withoutService, definitions: noDefinitions }, group)).toBe('group')
    await expect(run(store, '2024-01-03', '2024-01-04')).rejects.toThrow()
    await expect(planRegistration(store.store)).rejects.toThrow(/was retired and is still defined/)
    expect(await publishedRows(store.store, group)).toEqual(rows)
  })
})

test('of two applies at once one wins and the other is told; nothing is lost', async () => {
  await withDefinitions('race', define(base), () => Promise.resolve())
  const stores = await Promise.all(
    [maxPrice24h, lastMax6h].map(async (feature) => openStore(configOf('race', define([...base, feature])))),
  )
  try {
    const plans = await Promise.all(stores.map(planRegistration))
    const results = await Promise.allSettled(
      stores.map((store, at) => applyRegistration(store, plans[at] as RegistrationPlan)),
    )
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const loser = results.findIndex(({ status }) => status === 'rejected')
    expect((results[loser] as PromiseRejectedResult).reason).toBeInstanceOf(ConflictError)
    // The loser's new plan sees what the winner added, which its own definitions lack.
    const again = await planRegistration(stores[loser] as Store)
    expect(again.groups[0]?.change.verdict).toBe('breaking')
    const [registered] = await (stores[0] as Store).registry.groups()
    expect(registered?.features.map(({ name }) => name)).toHaveLength(3)
    expect(registered?.revision).toBe(2)
  } finally {
    for (const store of stores) await store.close()
  }
})
