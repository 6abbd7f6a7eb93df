/**
 * The promise over a whole service: the vectors that the reader serves at a moment are the rows of a training set whose
 * labels are of that moment; roles, defaults, what is too old and what functions compute on demand among them. It holds
 * for a service whose groups are read one by one, and for one that is pre-joined.
 */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBListValue } from '@duckdb/node-api'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import type { TrainingManifest } from '../../activities/training/finishTraining.ts'
import { query } from '../../offline/index.ts'
import type { GroupAsk, KeyColumns, OnlineStore } from '../../online/index.ts'
import { createReader } from '../../reader/index.ts'
import { parseExactJson } from '../../reader/exactJson.ts'
import { servedServices } from '../../worker/servedServices.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import type { FinishedTraining } from '../../workflows/contract.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('served-vectors')
const services = ['trade_model_v1', 'joined_model_v1'] as const
type Service = (typeof services)[number]
const far = '9007199254740993'
let temporal: TestWorkflowEnvironment
let running: RunningStore
let base = ''
let closeReader: () => Promise<void> = () => Promise.resolve()

beforeAll(async () => {
  temporal = await startTemporal()
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/servedVectors.ts', import.meta.url)),
      SALES_PATH: join(folder, 'sales.parquet'),
      ASOF_CLOCK: '2024-01-06T02:00:00Z',
    },
    folder,
  )
  const { store } = running
  const reader = createReader({
    ...{ store: watched(store.onlineStores[0] as OnlineStore), nowMs: () => store.clock.lastKnownNow() },
    ...{ storeName: 'test', clockNote: null },
    services: servedServices(
      () => Promise.resolve(store.definitions),
      () => store.registry.services(),
    ),
  })
  await reader.listen({ host: '127.0.0.1', port: 0 })
  closeReader = () => reader.close()
  base = `http://127.0.0.1:${(reader.server.address() as AddressInfo).port}`
})

/** What the reader has read values of last: groups, or slots. */
let asked: string[] = []
const watched = (store: OnlineStore): OnlineStore =>
  Object.assign(Object.create(store) as OnlineStore, {
    fetch: (asks: readonly GroupAsk[]) => {
      asked = []
      const keysOf = ({ group, keys }: GroupAsk, columns: KeyColumns) => {
        const texts = keys(columns)
        if (texts.length > 0) asked.push(group)
        return texts
      }
      return store.fetch(asks.map((one) => ({ ...one, keys: (columns: KeyColumns) => keysOf(one, columns) })))
    },
  })

afterAll(async () => {
  await closeReader()
  await running?.stop()
  await temporal?.teardown()
})

/** As requests send them; the same rows are the labels. */
const rows = {
  country: ['at', 'de', 'pt', 'pt', 'xx', null, 'at'],
  shop: [1, far, 3, 4, 1, 1, 1],
  partner_country: ['de', 'at', 'at', 'zz', 'at', 'pt', 'de'],
  partner_shop: [far, 1, 1, 1, 1, 4, far],
  price: [11.5, null, 'NaN', 0, 1, 2, 11.5],
  pieces: [3, null, far, -1, 0, 7, 3],
} as const
const requestNames = ['price', 'pieces']
const names = Object.keys(rows) as (keyof typeof rows)[]
const columnsOf = (wanted: (name: string) => boolean) =>
  Object.fromEntries(names.filter(wanted).map((name) => [name, rows[name]]))

/** A column by which nothing is looked up is refused. */
const isKeyOf = (service: Service) => (name: string) =>
  !requestNames.includes(name) && (service === 'trade_model_v1' || !name.startsWith('partner_'))

async function askOnline(service: Service): Promise<{ status: number; text: string }> {
  const response = await fetch(`${base}/online`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      service,
      entities: columnsOf(isKeyOf(service)),
      request: columnsOf((name) => requestNames.includes(name)),
    }),
  })
  return { status: response.status, text: await response.text() }
}

interface Answer {
  readonly as_of: string
  readonly features: readonly { readonly name: string }[]
  readonly results: readonly { readonly values: readonly unknown[]; readonly statuses: readonly string[] }[]
}

let workflows = 0
async function run<Result>(type: string, input: object): Promise<Result> {
  const handle = await running.client.workflow.start(type, {
    ...{ taskQueue: running.taskQueue, workflowId: `${type}-${(workflows += 1)}`, args: [input] },
  })
  return (await handle.result()) as Result
}

async function sql(text: string) {
  const connection = await running.store.duckdb.connect()
  try {
    return await query(connection, text)
  } finally {
    connection.closeSync()
  }
}

/** The rows of a set with a label for each, all of one moment, by column. */
async function trained(service: Service, at: string): Promise<Record<string, unknown>[]> {
  const labels = rows.country.map((_, row) =>
    Object.fromEntries(names.map((name) => [name, rows[name][row] ?? null])),
  )
  const set = await run<FinishedTraining>('buildTrainingSet', {
    name: 'served',
    service,
    labels: {
      rows: labels.map((label) => ({ ...label, moment: at })),
      time: 'moment',
      columns: {
        ...{ country: 'string', shop: 'int64', partner_country: 'string', partner_shop: 'int64' },
        ...{ price: 'float64', pieces: 'int64' },
      },
    },
  })
  const manifest = JSON.parse(
    readFileSync(running.store.fileIO.localPath(set.manifestPath), 'utf8'),
  ) as TrainingManifest
  const [file = ''] = manifest.files
  return sql(
    `SELECT * EXCLUDE (file_row_number) FROM read_parquet('${running.store.fileIO.localPath(file)}', file_row_number = true) ORDER BY file_row_number`,
  )
}

async function servedEqualsTrained(service: Service): Promise<Answer['results']> {
  const { status, text } = await askOnline(service)
  expect(status, text).toBe(200)
  const { as_of, features, results } = parseExactJson(text) as Answer
  const set = await trained(service, as_of)
  expect(set.length).toBe(rows.country.length)
  for (const [row, { values }] of results.entries()) {
    const served = features.map(({ name }, at) => [name, shown(values[at])])
    expect(served).toEqual(features.map(({ name }) => [name, shown(set[row]?.[name])]))
  }
  return results
}

/** Lists come as arrays, and from DuckDB as values of its own. */
const shown = (value: unknown) => (value instanceof DuckDBListValue ? String(value.items) : String(value))

test.each(services)('%s: a service that was not applied is not served', async (service) => {
  const { status, text } = await askOnline(service)
  expect([status, text]).toEqual([404, expect.stringMatching(/defined and not registered. Run `asof apply`/)])
})

test('what is served at a moment is what a label of that moment gets, pre-joined or not', async () => {
  const sales = [
    `('2024-01-01 10:00', 'at', 1, 10)`,
    `('2024-01-02 11:00', 'de', ${far}, 20)`,
    `('2024-01-04 10:00', 'at', 1, 18)`,
    `('2024-01-04 11:00', 'pt', 3, 30)`,
    `('2024-01-05 10:00', 'at', 1, 22.25)`,
    `('2024-01-05 11:00', 'pt', 4, 40)`,
  ]
  await sql(
    `COPY (SELECT "at"::TIMESTAMP AS "at", country, shop::BIGINT AS shop, price::DOUBLE AS price
     FROM (VALUES ${sales.join(', ')}) AS sales("at", country, shop, price)) TO '${join(folder, 'sales.parquet')}' (FORMAT parquet)`,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
  // The reader looks at the registry again after a second.
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  const notLoaded = { status: 503, text: expect.stringMatching(/not_loaded/) as string }
  for (const service of services) expect(await askOnline(service)).toMatchObject(notLoaded)
  await run('backfill', { group: 'shop_sales_v1', from: '2024-01-01', to: '2024-01-05' })
  await run('refresh', { group: 'shop_sales_v1' })
  expect(await askOnline('joined_model_v1')).toMatchObject(notLoaded)
  await run('backfill', { group: 'shop_prices_v1', from: '2024-01-01T12:00:00Z', to: '2024-01-05' })
  await run('refresh', { group: 'shop_prices_v1' })
  for (const service of services) {
    const results = await servedEqualsTrained(service)
    expect(asked.every((id) => id.startsWith(service))).toBe(service === 'joined_model_v1')
    // So that it is a test: rows that were found, that were not, that are too old, and functions that had nothing to go by.
    expect(new Set(results.flatMap(({ statuses }) => statuses))).toEqual(
      new Set(['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']),
    )
    if (service === 'trade_model_v1') expect(results[0]?.values.slice(0, 2)).toEqual([1, null])
  }
})

test.each(services)('%s: and when time has gone on, and values are too old, it still is', async (service) => {
  if (service === services[0]) await moveStoreClock(running.store.registry, { forwardMs: 36 * 36e5 })
  await running.store.now()
  const results = await servedEqualsTrained(service)
  expect(results.flatMap(({ statuses }) => statuses)).toContain('OUTSIDE_MAX_AGE')
})
