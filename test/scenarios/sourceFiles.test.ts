/** What a run reads of its source, through the real activities: the files that its plan saw, and nothing else. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { publishedRows } from '../support/published.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('source-files')
const group = 'visit_counts_v1'
const range = { group, from: '2024-01-03', to: '2024-01-04' }
const stores: Store[] = []

afterAll(async () => {
  for (const store of stores) await store.close()
})

/** New York is five hours behind UTC in winter. */
const header = 'at,came_in,code,price'
const first = [
  '2024-01-02 20:30:00,2024-01-02 20:31:00,007,1',
  '2024-01-03 01:30:00,2024-01-03 06:00:00,007,2',
]
const second = ['2024-01-03 02:30:00 -05:00,2024-01-03T07:31:00Z,008,4']

async function visitsStore(name: string, clock = '2024-01-08T00:00:00Z') {
  const visits = join(folder, name, 'visits')
  mkdirSync(visits, { recursive: true })
  const write = (file: string, lines: readonly string[]) =>
    writeFileSync(join(visits, file), [header, ...lines].join('\n'))
  write('a.csv', first)
  write('b.csv', second)
  const store = await openStore(
    readConfig(
      {
        ASOF_HOME: join(folder, name, 'home'),
        ASOF_FEATURES: fileURLToPath(new URL('../fixtures/visits.ts', import.meta.url)),
        ASOF_MEMORY_LIMIT: '500MB',
        ASOF_CLOCK: clock,
        VISITS_PATH: visits,
      },
      folder,
    ),
  )
  stores.push(store)
  await applyRegistration(store, await planRegistration(store))
  return { store, activities: createActivities(store), visits, write }
}

type Visits = Awaited<ReturnType<typeof visitsStore>>
const planned = ({ activities }: Visits) =>
  activities.planBackfill({ ...range, runId: randomUUID(), workflowId: 'w' })

/** Plans, does something to the source, and runs to the end. */
async function runAround(visits: Visits, between: () => void): Promise<string[]> {
  const { activities, store } = visits
  const plan = await planned(visits)
  between()
  for (let chunk = 0; chunk < plan.chunks; chunk++) await activities.computeChunk({ ...plan, chunk })
  const staged = await activities.stageRun(plan)
  await activities.publishRun({ ...plan, staged })
  return publishedRows(store, group)
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Error)) throw new Error('expected a refusal')
  return error.message
}

test('a file that is added under a run is not read by it, and is by the next', async () => {
  const alone = await runAround(await visitsStore('alone'), () => undefined)
  expect(alone.length).toBeGreaterThan(20)
  const added = await visitsStore('added')
  const rows = await runAround(added, () =>
    added.write('c.csv', ['2024-01-03 03:00:00,2024-01-03 03:00:00,009,8']),
  )
  expect(rows).toEqual(alone)
  const plan = await added.activities.planBackfill({
    ...range,
    rewrite: true,
    runId: randomUUID(),
    workflowId: 'w',
  })
  expect([plan.sourceFiles, plan.intervals]).toEqual([3, 24])
})

test('a file that is changed or removed under a run fails it, by name', async () => {
  const changed = await visitsStore('changed')
  const change = () => changed.write('b.csv', [...second, ...second])
  expect(await refusal(runAround(changed, change))).toMatch(
    /Source visits: .*b\.csv has changed since the run was planned\. Run it again once the source is at rest/,
  )
  const removed = await visitsStore('removed')
  expect(await refusal(runAround(removed, () => rmSync(join(removed.visits, 'a.csv'))))).toMatch(
    /Source visits: .*a\.csv has disappeared since the run was planned/,
  )
  expect(await publishedRows(removed.store, group).catch(() => [])).toEqual([])
})

test('rows see what had arrived when they were due, and the ledger says that there is no hindsight', async () => {
  const visits = await visitsStore('arrivals')
  const rows = await runAround(visits, () => undefined)
  const seen = (code: string) =>
    rows
      .map((row) => JSON.parse(row) as string[])
      .filter((row) => row[0] === code)
      .map((row) => [row[1]?.slice(11, 16), ...row.slice(-2)])
  // 01:30 in New York is 06:30 in UTC, but it came in at 11:00: after 10:10, when that of 10:00 was due, before 11:10.
  expect(seen('007').filter(([at]) => at === '07:00' || at === '10:00' || at === '11:00')).toEqual([
    ['07:00', '1', 1],
    ['10:00', '1', 1],
    ['11:00', '2', 3],
  ])
  expect(seen('008')[0]).toEqual(['08:00', '1', 4])
  const files: string[] = []
  const table = await visits.store.catalog.loadTable({ namespace: visits.store.store, name: group })
  for await (const location of visits.store.fileIO.list(`${table.location}/ledger`)) files.push(location)
  const ledger = new TextDecoder().decode(await visits.store.fileIO.read(files[0] ?? ''))
  expect(JSON.parse(ledger)).toMatchObject({ hindsight: false })
})

test('types of text are found once a run, and every chunk reads a column the same way', async () => {
  const visits = await visitsStore('types')
  const { planPath } = await planned(visits)
  const plan = JSON.parse(new TextDecoder().decode(await visits.store.fileIO.read(planPath))) as object
  expect(plan).toMatchObject({
    hindsight: false,
    sourceColumns: {
      visits: [
        { name: 'at', type: 'VARCHAR' },
        { name: 'came_in', type: 'VARCHAR' },
        { name: 'code', type: 'VARCHAR' },
        { name: 'price', type: 'DOUBLE' },
      ],
    },
  })
})

test('an interval whose windows reach behind the retention is refused by the clock of the store', async () => {
  const late = await visitsStore('late', '2024-06-01T00:00:00Z')
  await expect(planned(late)).rejects.toThrow(
    /the window of 24h of the interval that ends at 2024-01-03T01:00:00Z reaches back to .*, but source visits keeps events for 60d/,
  )
})
