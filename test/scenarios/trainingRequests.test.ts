/** What a training set can be asked for, through the workflow: labels of every kind, scoring sets, roles, pins and formats. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { tableFromIPC } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { makePart } from '../../activities/training/buildTrainingPart.ts'
import type { TrainingManifest } from '../../activities/training/finishTraining.ts'
import { partJsonPathOf, type PartFile, type TrainingPlan } from '../../activities/training/trainingPlan.ts'
import { verifyTraining } from '../../activities/training/verifyTraining.ts'
import { mainBranch } from '../../iceberg/index.ts'
import { query, type Row } from '../../offline/index.ts'
import type { FinishedTraining } from '../../workflows/contract.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('training-requests')
const [group, countries] = ['shop_sales_v1', 'country_sales_v1']
/** Beyond what a double can say. */
const far = 9_007_199_254_740_993n
let temporal: TestWorkflowEnvironment
let running: RunningStore
/** When nothing from after 4 January was published yet, and the snapshot of then. */
let early: { asOf: string; snapshotId: string }

/** Shop 1 sells every day, the one of a long number on the first alone; 3 opens on the fourth day and 4 on the fifth. */
const sales = [
  `('2024-01-01 10:00', 'at', 1, 10)`,
  `('2024-01-01 11:00', 'de', ${far}, 20)`,
  `('2024-01-02 10:00', 'at', 1, 12)`,
  `('2024-01-03 10:00', 'at', 1, 14)`,
  `('2024-01-03 12:00', 'at', 1, 16)`,
  `('2024-01-04 10:00', 'at', 1, 18)`,
  `('2024-01-04 11:00', 'pt', 3, 30)`,
  `('2024-01-05 10:00', 'at', 1, 22)`,
  `('2024-01-05 11:00', 'pt', 4, 40)`,
]

beforeAll(async () => {
  temporal = await startTemporal()
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/trainingRequests.ts', import.meta.url)),
      SALES_PATH: join(folder, 'sales.parquet'),
      ASOF_CLOCK: '2024-01-06T02:00:00Z',
    },
    folder,
  )
  await writeParquet(
    'sales.parquet',
    `SELECT "at"::TIMESTAMP AS "at", country, shop::BIGINT AS shop, price::DOUBLE AS price
     FROM (VALUES ${sales.join(', ')}) AS sales("at", country, shop, price)`,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
  await run('backfill', { group, from: '2024-01-01', to: '2024-01-04' })
  early = {
    asOf: new Date(await running.store.now()).toISOString(),
    snapshotId: String((await tableOf(group)).ref(mainBranch)),
  }
  await new Promise((resolve) => setTimeout(resolve, 5))
  await run('backfill', { group, from: '2024-01-04', to: '2024-01-05' })
  // The last day is live: it was known when it was computed.
  await run('refresh', { group })
  await run('backfill', { group: countries, from: '2024-01-01T12:00:00Z', to: '2024-01-05' })
})

afterAll(async () => {
  await running?.stop()
  await temporal?.teardown()
})

let started = 0
async function run<Result>(type: string, input: object, store = running): Promise<Result> {
  const workflowId = `${type}-${(started += 1)}`
  const handle = await store.client.workflow.start(type, {
    ...{ taskQueue: store.taskQueue, workflowId, args: [input] },
  })
  return (await handle.result()) as Result
}

const tableOf = (name: string) => running.store.catalog.loadTable({ namespace: running.store.store, name })

async function sql(text: string): Promise<Row[]> {
  const connection = await running.store.duckdb.connect()
  try {
    return await query(connection, text)
  } finally {
    connection.closeSync()
  }
}
const writeParquet = (name: string, select: string) =>
  sql(`COPY (${select}) TO '${join(folder, name)}' (FORMAT parquet)`)

/** Of one group, unless a request says otherwise. */
const request = (given: object) => ({ name: 'asked', features: [`${group}:sales_1d`], ...given })
const build = (given: object, store = running) =>
  run<FinishedTraining>('buildTrainingSet', request(given), store)

/** The sentence with which a request is refused. */
async function refusal(given: object, store = running): Promise<string> {
  try {
    await build(given, store)
  } catch (error) {
    const { cause } = error as { cause?: Error }
    return cause?.message ?? String(error)
  }
  return 'not refused'
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(localPath(path), 'utf8'))
const localPath = (location: string) => running.store.fileIO.localPath(location)
const manifestOf = ({ manifestPath }: FinishedTraining) => readJson(manifestPath) as TrainingManifest

/** Values in their order, as text. */
async function rowsOf(set: FinishedTraining): Promise<string[]> {
  const [file = ''] = manifestOf(set).files
  const rows = await sql(
    `SELECT * EXCLUDE (file_row_number) FROM read_parquet('${localPath(file)}', file_row_number = true) ORDER BY file_row_number`,
  )
  return rows.map((row) => Object.values(row).map(String).join(' '))
}
const built = async (given: object) => rowsOf(await build(given))
const columnsOf = (set: FinishedTraining) => manifestOf(set).columns.map(({ name }) => name)

describe('scoring sets', () => {
  const scored = async (at: string | undefined, given: object = {}) => {
    const rows = await built({ labels: { entitiesOf: group, at }, ...given })
    return rows.map((row) => row.replace(/ 20\d\d-\S+ \S+\+00/, ''))
  }

  test('every entity that was known by then, once, in the order of its keys', async () => {
    // A shop without sales of late has its last row, of none, until that is too old.
    expect(await scored('2024-01-04T12:00:00Z')).toEqual(['at 1 2', `de ${far} 0`])
    expect(await scored('2024-01-05T12:00:00Z')).toEqual(['at 1 1', `de ${far} null`, 'pt 3 1'])
    const rows = await built({ labels: { entitiesOf: group, at: '2024-01-04T12:00:00Z' } })
    expect(rows[0]).toBe('at 1 2024-01-04 12:00:00+00 2')
    expect(await scored('2024-01-01T12:00:00Z')).toEqual([])
  })

  test('one whose first row nobody had yet is not there, unless it counts from its event timestamp', async () => {
    const at = '2024-01-05T00:30:00Z'
    expect(await scored(at)).toEqual(['at 1 2', `de ${far} null`])
    expect(await scored(at, { knowledgeCutoff: false })).toEqual(['at 1 1', `de ${far} null`, 'pt 3 1'])
    const ofCountries = (instant: string, given: object = {}) => {
      const labels = { entitiesOf: countries, at: instant }
      return scored(instant, { labels, features: [`${countries}:sales_1d`], ...given })
    }
    expect(await ofCountries('2024-01-04T06:00:00Z')).toEqual(['at 2', 'de 0'])
    expect(await ofCountries('2024-01-04T12:30:00Z')).toEqual(['at 2', 'de null'])
    const others = ['at 2', 'de null', 'pt 1']
    expect(await ofCountries('2024-01-04T12:30:00Z', { knowledgeCutoff: false })).toEqual(others)
    expect(await ofCountries('2024-01-04T13:30:00Z')).toEqual(others)
    // Of the last day a pipeline that had always run would have had it by now, but this one had not.
    expect(await scored('2024-01-06T01:30:00Z')).toEqual(['at 1 1', `de ${far} null`, 'pt 3 1'])
    // Its rows are known from when they were published, not from when they were made.
    const { moments } = manifestOf(await build({ labels: { entitiesOf: group } })).groups[0]?.pin ?? {}
    const published = Number(BigInt(Object.values(moments ?? {})[0] ?? 0) / 1000n)
    const scoredAt = (ms: number, given: object = {}) => scored(new Date(ms).toISOString(), given)
    expect(await scoredAt(published - 1)).toEqual(['at 1 1', `de ${far} null`, 'pt 3 1'])
    const all = ['at 1 1', `de ${far} null`, 'pt 3 0', 'pt 4 1']
    expect(await scoredAt(published)).toEqual(all)
    expect(await scoredAt(published - 1, { knowledgeCutoff: false })).toEqual(all)
  })

  test('without an instant: as they are served now', async () => {
    const before = await running.store.now()
    const set = await build({ labels: { entitiesOf: group } })
    expect((await rowsOf(set)).map((row) => row.replace(/ 2024-01-06 02:\S+/, ''))).toEqual([
      'at 1 1',
      `de ${far} null`,
      'pt 3 0',
      'pt 4 1',
    ])
    const instant = Number(BigInt(manifestOf(set).labels.range?.from ?? 0) / 1000n)
    expect(instant).toBeGreaterThanOrEqual(before)
    expect(instant).toBeLessThanOrEqual(await running.store.now())
  })

  test('of the pinned snapshot, of a group that no feature is of, too', async () => {
    const at = '2024-01-05T12:00:00Z'
    const pinned = ['at 1 2', `de ${far} null`]
    expect(await scored(at, { snapshots: { [group]: early.snapshotId } })).toEqual(pinned)
    expect(await scored(at, { asOf: early.asOf })).toEqual(pinned)
    const features = [`${countries}:sales_1d`]
    expect(await scored(at, { features })).toEqual(['at 1 1', `de ${far} null`, 'pt 3 1'])
    expect(await scored(at, { features, snapshots: { [group]: early.snapshotId } })).toEqual([
      'at 1 1',
      `de ${far} null`,
    ])
    expect(await refusal({ labels: { entitiesOf: 'no_v1' } })).toMatch(/no feature group "no_v1"/)
    expect(await refusal({ labels: { entitiesOf: group, at: 'soon' } })).toMatch(/labels: at/)
    expect(await refusal({ labels: { entitiesOf: countries } })).toMatch(/no column "shop"/)
  })
})

describe('labels by SQL', () => {
  const labels = (select: string, ...sources: string[]) => ({
    labels: { sql: select, sources: sources.length === 0 ? ['sales'] : sources, time: 'at' },
  })

  test('have the order of their ORDER BY', async () => {
    expect(
      await built(
        labels(
          `SELECT "at" + INTERVAL 1 DAY AS "at", country, shop, price FROM sales ORDER BY price DESC LIMIT 4`,
        ),
      ),
    ).toEqual([
      '2024-01-06 11:00:00+00 pt 4 40 1',
      '2024-01-05 11:00:00+00 pt 3 30 1',
      '2024-01-06 10:00:00+00 at 1 22 1',
      `2024-01-02 11:00:00+00 de ${far} 20 1`,
    ])
    const set = await build(
      labels(
        `SELECT "at", country, shop, n, price FROM sales, range(20000) AS numbers(n) ORDER BY hash(n), price`,
      ),
    )
    expect(set.rows).toBe(180_000)
    const [file = ''] = manifestOf(set).files
    const [found] = await sql(
      `SELECT count(*) FILTER (WHERE place <> number) AS elsewhere FROM (
         SELECT file_row_number AS place, row_number() OVER (ORDER BY hash(n), price) - 1 AS number
         FROM read_parquet('${localPath(file)}', file_row_number = true))`,
    )
    expect(found?.['elsewhere']).toBe(0n)
  })

  test('may read a source that is made of others, and nothing that is not named, unknown or another every time', async () => {
    expect(
      await built(
        labels(
          `SELECT "at" + INTERVAL 1 DAY AS "at", country, shop FROM dear_sales ORDER BY "at"`,
          'dear_sales',
        ),
      ),
    ).toHaveLength(8)
    const select = (what: string, from = 'sales') => `SELECT "at", country, shop, ${what} AS x FROM ${from}`
    expect(await refusal(labels(select('random()')))).toMatch(/calls random, .* Leave it out/)
    expect(await refusal(labels(select('now()')))).toMatch(/calls now, /)
    expect(await refusal(labels(select('1'), 'no_sales'))).toMatch(
      /there is no source "no_sales". The definitions have counted_sales, dear_sales, sales/,
    )
    expect(await refusal(labels(select('1'), 'dear_sales'))).toMatch(
      /reads sales, which is none of its sources/,
    )
    expect(await refusal(labels(select('nothing')))).toMatch(/nothing/)
    expect(await refusal(labels(select('1').replace('"at"', 'NULL::TIMESTAMPTZ AS "at"')))).toMatch(
      /9 labels have no time: column at is null, first in row 0/,
    )
    // The others of its part would find nothing either.
    for (const endless of ['infinity', '-infinity']) {
      const time = `CASE WHEN country = 'at' THEN '${endless}'::TIMESTAMPTZ ELSE "at" END AS "at"`
      expect(await refusal(labels(`${select('1').replace('"at"', time)} ORDER BY country, shop`))).toMatch(
        new RegExp(`label.* (has|have) an infinite time: column at is ${endless}, first in row \\d`),
      )
    }
  })
})

describe('inline labels', () => {
  const row = { at: '2024-01-02T12:00:00Z', country: 'de', shop: String(far), label: 'a' }

  test('have integers of any size as text, where their columns are declared', async () => {
    const labels = { rows: [row, { ...row, shop: '1', label: null }], columns: { shop: 'int64' }, time: 'at' }
    expect(await built({ labels })).toEqual([
      `2024-01-02 12:00:00+00 de ${far} a 1`,
      '2024-01-02 12:00:00+00 de 1 null null',
    ])
    expect(await refusal({ labels: { ...labels, columns: undefined } })).toMatch(
      /column shop is VARCHAR, but shop_sales_v1.shop is int64.*"columns": {"shop": "int64"}/,
    )
    const set = await build({ labels })
    expect(manifestOf(set).request.labels).toMatchObject({ rows: [] })
  })

  test('may be none', async () => {
    const set = await build({ labels: { rows: [], columns: { label: 'float64' }, time: 'at' } })
    expect(set.rows).toBe(0)
    expect(columnsOf(set)).toEqual(['at', 'label', 'country', 'shop', 'sales_1d'])
    const bare = await build({
      ...{ features: undefined, service: 'trade_model_v1' },
      labels: { rows: [], time: 'at', keys: { partner_shop: 'other' } },
    })
    expect(columnsOf(bare)).toEqual([
      ...['at', 'country', 'shop', 'partner_country', 'other', 'price', 'pieces'],
      ...['sales_1d', 'partner__mean_price_1d', 'dearness', 'pieces_after', 'hour'],
    ])
    const kept = readdirSync(join(folder, 'home', 'training', 'labels'))
    expect(kept.filter((name) => !name.endsWith('.parquet'))).toEqual([])
  })

  test('of more than Temporal is given are refused before they are sent', async () => {
    const rows = Array.from({ length: 5_000 }, () => row)
    expect(await refusal({ labels: { rows, time: 'at' } })).toMatch(
      /more than the 256 KiB that Asof lets through Temporal. Write it to a file and send its path/,
    )
  })
})

test('the same labels are the same set, in whatever files they lie', async () => {
  const rows = [
    { at: '2024-01-05T12:00:00Z', country: 'pt', shop: 3, label: 'Ä, "x"' },
    { at: '2024-01-02T12:00:00Z', country: 'at', shop: 1, label: 'b' },
    { at: '2024-01-04T12:00:00Z', country: 'at', shop: 1, label: 'c' },
  ]
  const lines = rows.map((row) => JSON.stringify(row))
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  const table = rows.map((row) =>
    Object.values(row)
      .map((value) => quoted(String(value)))
      .join(','),
  )
  const write = (name: string, bytes: string | Uint8Array) => writeFileSync(join(folder, name), bytes)
  write('rows.json', JSON.stringify(rows))
  write('rows.jsonl', lines.join('\n'))
  write('rows.csv.gz', gzipSync(['at,country,shop,label', ...table].join('\n')))
  write('rows.txt', ['at,country,shop,label', ...table].join('\n'))
  for (const name of ['rows', 'rows/day=2']) mkdirSync(join(folder, name))
  const select = `SELECT "at"::TIMESTAMPTZ AS "at", country, shop, label FROM read_json('${join(folder, 'rows.json')}')`
  await writeParquet('rows/day=2/b.parquet', `${select} WHERE country = 'at' ORDER BY label`)
  await writeParquet('rows/a.parquet', `${select} WHERE country = 'pt'`)
  await writeParquet('rows/_c.parquet', select)

  const first = await build({ labels: { path: 'rows.json', time: 'at' } })
  expect(await rowsOf(first)).toEqual([
    '2024-01-05 12:00:00+00 pt 3 Ä, "x" 1',
    '2024-01-02 12:00:00+00 at 1 b 1',
    '2024-01-04 12:00:00+00 at 1 c 2',
  ])
  const others = [
    ...['rows.jsonl', 'rows.csv.gz', join(folder, 'rows')].map((path) => ({ path })),
    { path: 'rows/**/?.parquet' },
    { path: 'rows.txt', format: 'csv' },
  ]
  for (const labels of others) {
    expect((await build({ labels: { ...labels, time: 'at' } })).id, labels.path).toBe(first.id)
  }
  expect(await refusal({ labels: { path: 'rows.txt', time: 'at' } })).toMatch(
    /rows.txt does not say by its name what it is. Say so: "format"/,
  )
  expect(await refusal({ labels: { path: 'rows/*.csv', time: 'at' } })).toMatch(/no file matches/)
})

describe('columns', () => {
  const row = { ...{ when: '2024-01-05T12:34:00Z', land: 'at', laden: 1 }, ...{ to: 'pt', target: 3 } }
  const keys = { country: 'land', shop: 'laden' }

  test('of labels stand for keys; a group may be taken in a role', async () => {
    const features = [
      { group, features: ['sales_1d'] },
      { group, features: ['mean_price_1d'], as: 'partner', keys: { country: 'to', shop: 'target' } },
    ]
    const set = await build({ features, labels: { rows: [row], time: 'when', keys } })
    expect(columnsOf(set).slice(5)).toEqual(['sales_1d', 'partner__mean_price_1d'])
    expect(await rowsOf(set)).toEqual(['2024-01-05 12:34:00+00 at 1 pt 3 1 30'])
    expect(set.groups.map(({ name }) => name)).toEqual([group, 'partner'])
    const wrong = [{ group, features: ['sales_1d'], as: 'partner', keys: { land: 'to' } }]
    expect(await refusal({ features: wrong, labels: { rows: [row], time: 'when' } })).toMatch(
      /land is no key/,
    )
  })

  test('of a service come in its order, its role and its on-demand features with them', async () => {
    const labels = {
      rows: [
        { ...row, offer: 9, pieces: String(far) },
        { ...row, offer: null, pieces: null, to: 'nowhere' },
        { ...row, offer: 9, pieces: '1', laden: 2 },
      ],
      columns: { pieces: 'int64', offer: 'float64' },
      keys: { ...keys, partner_country: 'to', partner_shop: 'target', price: 'offer' },
      time: 'when',
    }
    const set = await build({ features: undefined, service: 'trade_model_v1', labels })
    expect(columnsOf(set).slice(-5)).toEqual([
      ...['sales_1d', 'partner__mean_price_1d', 'dearness', 'pieces_after', 'hour'],
    ])
    expect((await rowsOf(set)).map((one) => one.split(' ').slice(-5).join(' '))).toEqual([
      `1 30 0.5 ${far + 1n} 12`,
      // A default stands for what a function leaves null, to the last digit.
      '1 null null 9007199254740993 12',
      'null 30 null 2 12',
    ])
    const { request: asked } = manifestOf(set).onDemand[0] ?? {}
    expect(asked).toEqual({ price: 'offer', pieces: 'pieces' })
    const rows = labels.rows.map((one) => ({ ...one, pieces: undefined }))
    expect(
      await refusal({
        ...{ features: undefined, service: 'trade_model_v1' },
        labels: { ...labels, rows, columns: undefined },
      }),
    ).toMatch(/on-demand features offered want pieces of the request, which the labels do not have/)
  })

  test('of one name are refused, and told apart by full names', async () => {
    const labels = { rows: [{ at: '2024-01-04T12:00:00Z', country: 'at', shop: 1 }], time: 'at' }
    const features = [`${group}:sales_1d`, `${countries}:sales_1d`]
    expect(await refusal({ features, labels })).toMatch(/would both be called sales_1d.*"fullNames": true/)
    const set = await build({ features, labels, fullNames: true })
    expect(columnsOf(set).slice(3)).toEqual(['shop_sales_v1__sales_1d', 'country_sales_v1__sales_1d'])
    expect(await rowsOf(set)).toEqual(['2024-01-04 12:00:00+00 at 1 2 2'])
  })

  test('may be called anything but what rows are numbered by', async () => {
    const given = { at: '2024-01-04T12:00:00Z', country: 'at', shop: 1 }
    const labels = { rows: [{ ...given, FILE_ROW_NUMBER: 7 }], time: 'at' }
    expect(await refusal({ labels })).toMatch(
      /a column FILE_ROW_NUMBER cannot be kept, .* Give it another name/,
    )
    const sets = [7, 8].map((row) => build({ labels: { rows: [{ ...given, row }], time: 'at' } }))
    const [one, other] = await Promise.all(sets)
    expect(one?.id).not.toBe(other?.id)
  })
})

describe('what a label sees', () => {
  const labels = (at: string) => ({ labels: { rows: [{ at, country: 'at', shop: 1 }], time: 'at' } })
  const seen = async (at: string, given: object = {}) =>
    (await built({ ...labels(at), ...given })).map((row) => row.split(' ').at(-1))

  test('is the table as it stood then, where that is asked for', async () => {
    const at = '2024-01-05T12:00:00Z'
    expect(await seen(at)).toEqual(['1'])
    expect(await seen(at, { asOf: early.asOf })).toEqual(['2'])
    expect(await seen(at, { snapshots: { [group]: early.snapshotId } })).toEqual(['2'])
    const set = await build({ ...labels(at), asOf: early.asOf })
    expect(manifestOf(set).groups[0]?.pin.snapshotId).toBe(early.snapshotId)
    const given = labels(at)
    expect(await refusal({ ...given, asOf: '2023-01-01T00:00:00Z' })).toMatch(
      /nothing is kept of how its table stood/,
    )
    expect(await refusal({ ...given, snapshots: { [group]: '1' } })).toMatch(/has no snapshot 1/)
    expect(await refusal({ ...given, snapshots: { [group]: 'newest' } })).toMatch(/not a snapshot id/)
    expect(await refusal({ ...given, snapshots: { [countries]: '1' } })).toMatch(
      /snapshots: country_sales_v1 is no group of the request, which has shop_sales_v1/,
    )
    expect(await refusal({ ...given, asOf: early.asOf, snapshots: {} })).toMatch(/either asOf or snapshots/)
  })

  test('is what was known, unless it is told not to ask', async () => {
    const at = '2024-01-04T00:30:00Z'
    expect(await seen(at)).toEqual(['1'])
    expect(await seen(at, { knowledgeCutoff: false })).toEqual(['2'])
    const manifest = manifestOf(await build({ ...labels(at), knowledgeCutoff: false }))
    expect(manifest.knowledgeCutoff).toBe(false)
  })

  test('is of one definition, unless a mixture is accepted', async () => {
    const model = fileURLToPath(new URL('../../model/index.ts', import.meta.url))
    const define = (name: string, more: string) => {
      writeFileSync(
        join(folder, name),
        `import { count, entity, featureGroup, max, parquet } from '${model}'
         export const group = featureGroup({
           name: 'shop_sales', version: 1, owner: 'a', description: 'b', every: '1d', availableAfter: '1h',
           entity: entity({ name: 'shop', keys: { country: 'string', shop: 'int64' } }),
           source: parquet({ name: 'sales', path: '${join(folder, 'sales.parquet')}', timestamp: 'at', timeZone: 'UTC', completeFrom: '2024-01-01' }),
           features: { sales_1d: count({ over: '1d' }) ${more} },
         })`,
      )
      return {
        ASOF_HOME: join(folder, 'mixed'),
        ASOF_FEATURES: join(folder, name),
        ASOF_CLOCK: '2024-01-06T02:00:00Z',
      }
    }
    const publish = async (environment: Record<string, string>, from: string, to: string) => {
      const store = await runStore(temporal, environment, folder)
      await applyRegistration(store.store, await planRegistration(store.store))
      await run('backfill', { group, from, to }, store)
      return store
    }
    await (await publish(define('first.ts', ''), '2024-01-01', '2024-01-03')).stop()
    const later = define('later.ts', `, dearest_1d: max('price', { over: '1d' })`)
    const store = await publish(later, '2024-01-03', '2024-01-05')
    try {
      const given = {
        features: [`${group}:sales_1d`, `${group}:dearest_1d`],
        labels: {
          rows: ['2024-01-03T12:00:00Z', '2024-01-04T12:00:00Z'].map((at) => ({
            at,
            country: 'at',
            shop: 1,
          })),
          time: 'at',
        },
      }
      expect(await refusal(given, store)).toMatch(
        /2 published intervals of shop_sales_v1 .* have dearest_1d as it was computed by another definition, or not at all. Backfill them, or accept it: "allowMixed": true/,
      )
      const set = await build({ ...given, allowMixed: true }, store)
      expect(manifestOf(set).groups[0]?.mixed).toEqual({ dearest_1d: 2 })
      expect((await rowsOf(set)).map((row) => row.split(' ').slice(-2).join(' '))).toEqual(['1 null', '2 16'])
    } finally {
      await store.stop()
    }
  })
})

const ordinary = {
  labels: {
    rows: [
      { at: '2024-01-05T12:00:00Z', country: 'pt', shop: 3 },
      { at: '2024-01-03T12:00:00.000001Z', country: 'at', shop: 1 },
    ],
    time: 'at',
  },
  eventTimestamps: true,
}

test('a folder of its own is new or empty, and the same request finds its set there', async () => {
  const output = join(folder, 'own')
  const set = await build({ ...ordinary, output: 'own' })
  expect(set.manifestPath).toBe(`file://${join(output, 'manifest.json')}`)
  const files = readdirSync(output).sort()
  expect(files).toEqual(['manifest.json', expect.stringMatching(/^part-00000-[0-9a-f]{8}\.parquet$/)])
  expect(await build({ ...ordinary, output })).toEqual(set)
  expect(readdirSync(output).sort()).toEqual(files)
  const occupied = /output .*own is there already and not empty. Name a new folder, or leave output out/
  expect(await refusal({ ...ordinary, output, eventTimestamps: false })).toMatch(occupied)
  expect(await refusal({ ...ordinary, output, name: 'other' })).toMatch(occupied)
  expect(readdirSync(output).sort()).toEqual(files)
  mkdirSync(join(folder, 'empty'))
  writeFileSync(join(folder, 'a-file'), 'mine')
  expect(await refusal({ ...ordinary, output: 'a-file' })).toMatch(/output .*a-file cannot be made: .*EEXIST/)
  expect(await refusal({ ...ordinary, output: 's3://bucket/set' })).toMatch(
    /output s3:\/\/bucket\/set is not a local path. Name a folder/,
  )
  expect(await refusal({ ...ordinary, labels: { path: 's3://bucket/l.csv', time: 'at' } })).toMatch(
    /s3:\/\/bucket\/l.csv is not a local path/,
  )
  expect((await build({ ...ordinary, output: 'empty' })).contentHash).toBe(set.contentHash)
})

test('Arrow says what Parquet says, by the same hash, and attempts at it leave nothing', async () => {
  const parquet = await build(ordinary)
  const output = join(folder, 'arrow')
  mkdirSync(output)
  for (const ending of ['arrow', 'parquet'])
    writeFileSync(join(output, `part-00000-01234567.${ending}`), 'half')
  const set = await build({ ...ordinary, format: 'arrow', output })
  const beside = await build({ ...ordinary, format: 'arrow' })
  expect(new Set([set.id, parquet.id, beside.id]).size).toBe(3)
  expect([set.contentHash, beside.contentHash]).toEqual([parquet.contentHash, parquet.contentHash])
  expect(readdirSync(output).sort()).toEqual([
    'manifest.json',
    expect.stringMatching(/^part-00000-[0-9a-f]{8}\.arrow$/),
  ])
  const manifest = manifestOf(set)
  expect(manifest.columns).toEqual(manifestOf(parquet).columns)
  const table = tableFromIPC(readFileSync(localPath(manifest.files[0] ?? '')))
  const names = columnsOf(set)
  expect(table.schema.fields.map(({ name, type }) => `${name}: ${type}`)).toEqual([
    ...['at: Timestamp<MICROSECOND, UTC>', 'country: Utf8', 'shop: Int64', 'sales_1d: Int64'],
    ...[`${group}__event_timestamp: Timestamp<MICROSECOND, UTC>`, `${group}__age_seconds: Float64`],
  ])
  expect([...(table.getChild('sales_1d') ?? [])]).toEqual([1n, 1n])
  expect([...(table.getChild(names.at(-1) ?? '') ?? [])]).toEqual([43_200, 43_200.000001])
  const instants = table.getChild('at')?.data[0]?.values as BigInt64Array
  expect(instants[1]).toBe(BigInt(Date.parse('2024-01-03T12:00:00Z')) * 1000n + 1n)

  expect(await verifyTraining(running.store, set.id)).toMatchObject({
    ...{ problem: null, rebuiltHash: set.contentHash, differing: [], files: [] },
  })
  // As who verifies it builds it again.
  const { planPath } = (await running.store.registry.trainingSet(set.id)) ?? { planPath: '' }
  const recorded = readJson(partJsonPathOf(planPath, 0)) as PartFile
  const again = await makePart(running.store, readJson(planPath) as TrainingPlan, 0, {
    place: `file://${join(folder, 'again')}`,
  })
  expect(again.digests).toEqual(recorded.digests)
  expect(again.arrowHash).toBe(recorded.arrowHash)
  expect(readdirSync(join(folder, 'again'))).toHaveLength(1)
  expect(existsSync(localPath(again.file))).toBe(true)
})
