/** Training sets step by step, without Temporal: which requests are one set, and which cannot be. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createActivities } from '../../activities/index.ts'
import { query } from '../../offline/index.ts'
import type { FinishedTraining, TrainingInput } from '../../workflows/contract.ts'
import { restoredStore, type OpenedStore } from '../faults/restoredStore.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('training-steps')
const group = 'shop_orders_v1'
let opened: OpenedStore

beforeAll(async () => {
  opened = await (await restoredStore(folder)).open()
  write('labels.csv', ['at,country,shop,label', '2024-01-03T00:30:00Z,at,1,x', '2024-01-02T09:30:00Z,de,2,y'])
})
afterAll(() => opened?.close())

function write(name: string, lines: readonly string[]): TrainingInput['labels'] {
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
  return { path: name, time: 'at', timeZone: 'UTC' }
}

const base = { name: 'steps', service: 'shop_model_v1', labels: { path: 'labels.csv', time: 'at' } } as const
let runs = 0
async function build(given: object): Promise<FinishedTraining> {
  const { planTraining, buildTrainingPart, finishTraining } = createActivities(opened.store)
  const run = { workflowId: 'w', runId: `r${(runs += 1)}` }
  const request = { ...base, ...given } as TrainingInput
  const { planPath, parts } = await planTraining({ request, ...run })
  for (let part = 0; part < parts; part++) await buildTrainingPart({ planPath, part })
  return finishTraining({ planPath })
}

interface Manifest {
  readonly files: readonly string[]
  readonly columns: readonly { readonly name: string }[]
}
async function manifestOf({ manifestPath }: FinishedTraining): Promise<Manifest> {
  return JSON.parse(Buffer.from(await opened.store.fileIO.read(manifestPath)).toString()) as Manifest
}
const columnsOf = async (set: FinishedTraining) => (await manifestOf(set)).columns.map(({ name }) => name)

test('without labels, other columns are another set', async () => {
  const one = await build({ labels: write('none.csv', ['at,country,shop']) })
  const other = await build({ labels: write('none-more.csv', ['at,country,shop,label']) })
  expect(await columnsOf(one)).not.toContain('label')
  expect(await columnsOf(other)).toContain('label')
  expect([one.rows, other.rows]).toEqual([0, 0])
})

test('the same labels in another format and place are the same set', async () => {
  const rows = [
    { at: '2024-01-03T00:30:00Z', country: 'at', shop: 1, label: 'x' },
    { at: '2024-01-02T09:30:00Z', country: 'de', shop: 2, label: 'y' },
  ]
  expect((await build({ labels: { rows, time: 'at' } })).id).toBe((await build({})).id)
  const turned = await build({ labels: { rows: [...rows].reverse(), time: 'at' } })
  expect(turned.id).not.toBe((await build({})).id)
})

test('a set whose folder was removed is built again, rows and all', async () => {
  const output = join(folder, 'elsewhere')
  const first = await build({ output })
  rmSync(output, { recursive: true })
  const again = await build({ output })
  expect(again).toEqual(first)
  expect(readdirSync(output).sort()).toEqual([
    'manifest.json',
    expect.stringMatching(/^part-00000-.*\.parquet$/) as string,
  ])
  for (const file of (await manifestOf(again)).files) {
    expect(existsSync(opened.store.fileIO.localPath(file))).toBe(true)
  }
})

test('the order of features changes the order of columns alone', async () => {
  const features = [`${group}:orders_2h`, `${group}:mean_price_24h`]
  const sets = [
    await build({ service: undefined, features }),
    await build({ service: undefined, features: [...features].reverse() }),
  ]
  const read = async (set: FinishedTraining) => {
    const [file = ''] = (await manifestOf(set)).files
    const connection = await opened.store.duckdb.connect()
    try {
      return await query(
        connection,
        `SELECT label, orders_2h, mean_price_24h FROM read_parquet('${opened.store.fileIO.localPath(file)}', file_row_number = true) ORDER BY file_row_number`,
      )
    } finally {
      connection.closeSync()
    }
  }
  const [one = [], other] = await Promise.all(sets.map(read))
  expect(one).toEqual(other)
  expect(one.map(({ label }) => label)).toEqual(['x', 'y'])
})

test('event timestamps that would be called as something else is are refused', async () => {
  const labels = write('twin.csv', [`at,country,shop,${group}__AGE_seconds`, '2024-01-03T00:30:00Z,at,1,5'])
  await expect(build({ labels, eventTimestamps: true })).rejects.toThrow(
    /labels have a column shop_orders_v1__AGE_seconds, and an event timestamp or age is called so too/,
  )
  const twice = [
    { group, features: ['orders_2h'] },
    { group, features: ['mean_price_24h'], keys: { country: 'label' } },
  ]
  await expect(build({ service: undefined, features: twice, eventTimestamps: true })).rejects.toThrow(
    /shop_orders_v1 is taken twice.*Take one of them in a role/,
  )
  expect((await build({ service: undefined, features: twice })).groups).toHaveLength(2)
})
