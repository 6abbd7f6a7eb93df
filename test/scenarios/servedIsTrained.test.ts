/**
 * What was served is what is trained: some days replayed on the store's clock, in which the online store is read at random
 * moments, before, while and after loads; then a training set over those moments has to say the same, value for value.
 *
 * The days have what could tell the two apart: events up to ten hours late, of shops with few orders too, whose newest row
 * they make; an interval that a gate holds until the afternoon, an outage of a day, values that grow too old; and at last
 * a rewrite, after which the set says what the rewritten history is, and that it has seen more than was known.
 */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { planScan, readDataFiles } from '../../iceberg/index.ts'
import { durationMs, intervalEnds } from '../../model/index.ts'
import { openDuckDb, query, type DuckDb, type Row } from '../../offline/index.ts'
import { fetchGroup, readingsOf, type OnlineStore, type ValueStatus } from '../../online/index.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import type { FinishedTraining, TrainingInput } from '../../workflows/contract.ts'
import { updateNames } from '../../workflows/names.ts'
import type { RunResult } from '../../workflows/run.ts'
import { served, type FeatureRow } from '../offline/joinOracle.ts'
import { randomFrom } from '../offline/random.ts'
import { letArrive, makeLateOrders, type LateOrders } from '../support/lateOrders.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const groups = ['lasting_v1', 'fresh_v1'] as const
const features = {
  lasting_v1: ['orders_4h', 'revenue_4h', 'mean_price_4h', 'dearest'],
  fresh_v1: ['orders_4h', 'revenue_8h', 'dear_4h', 'dear_mean_4h', 'price_now'],
} as const
type Group = (typeof groups)[number]

const at = (text: string) => Date.parse(text)
const stepMs = durationMs('4h')
const [liveAt, lastEnd] = [at('2024-01-03'), at('2024-01-06T04:00Z')]
const held = at('2024-01-03T08:00Z')
const outage = { from: at('2024-01-04T04:00Z'), to: at('2024-01-05T04:00Z') }
const rewrite = { at: at('2024-01-05T20:00Z'), from: '2024-01-03T12:00:00Z', to: '2024-01-05T20:00:00Z' }
/** Seven with many orders, some with few, and one with none. */
const shops = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 10n, 11n, 12n, 13n, 14n, 15n, 16n, 17n, 99n]
const seed = Number(process.env['ASOF_TEST_SEED'] ?? randomInt(2 ** 31))
const random = randomFrom(seed)
const folder = temporaryFolder('served-is-trained')

let temporal: TestWorkflowEnvironment
let store: RunningStore
let duckdb: DuckDb
let orders: LateOrders
let arrivedUpTo = 0

interface Reading {
  readonly shop: bigint
  readonly atMs: number
  readonly statuses: readonly ValueStatus[]
  readonly values: readonly unknown[]
  /** Of the row that is served; null where none is. */
  readonly event: bigint | null
}
const readings: Record<Group, Reading[]> = { lasting_v1: [], fresh_v1: [] }
/** How many of them the rewrite came after, and what `main` was then. */
const beforeRewrite: Record<Group, { readings: number; snapshotId: string }> = {
  lasting_v1: { readings: 0, snapshotId: '' },
  fresh_v1: { readings: 0, snapshotId: '' },
}
let readWhileLoading = 0

beforeAll(async () => {
  temporal = await startTemporal()
  duckdb = await openDuckDb({ memoryLimit: '300MB', threads: 1, tempDirectory: join(folder, 'spill') })
  orders = await withQuietShops(
    await makeLateOrders({
      ...{ duckdb, folder, from: '2024-01-01', days: 6, latenessMs: durationMs('10h'), seed },
      dearAt: '2024-01-03T07:30:00',
    }),
  )
  await letArriveUpTo(liveAt + durationMs('5m'))
  store = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/servedWeek.ts', import.meta.url)),
      ORDERS_PATH: orders.source,
      ASOF_CLOCK: new Date(liveAt + durationMs('5m')).toISOString(),
    },
    folder,
  )
  await applyRegistration(store.store, await planRegistration(store.store))
  console.log(`served is trained: seed ${seed}`)
})

afterAll(async () => {
  await store?.stop()
  await duckdb?.close()
  await temporal?.teardown()
})

/** An order or two a day, and most of them hours late. */
async function withQuietShops(all: LateOrders): Promise<LateOrders> {
  const quiet = Array.from({ length: 6 * 8 * 2 }, (_, n) => {
    const time = at('2024-01-01') + random.below(6 * 864e5)
    const arrives = time + random.below(random.below(4) === 0 ? 300_000 : durationMs('10h'))
    return `(make_timestamp(${time * 1000}), make_timestamp(${arrives * 1000}), ${10 + (n % 8)}::BIGINT, ${random.below(15_000)} / 128.0)`
  })
  const path = join(folder, 'with-quiet-shops.parquet')
  await sql(
    `COPY (SELECT * FROM read_parquet('${all.all}') UNION ALL SELECT * FROM (VALUES ${quiet.join(', ')})) TO '${path}' (FORMAT parquet)`,
  )
  return { ...all, all: path }
}

async function letArriveUpTo(ms: number): Promise<void> {
  await letArrive(orders, arrivedUpTo, ms)
  arrivedUpTo = ms
}

let started = 0
async function run<Result>(type: string, input: object): Promise<Result> {
  const workflowId = `${store.taskQueue}-${(started += 1)}`
  const handle = await store.client.workflow.start(type, {
    ...{ taskQueue: store.taskQueue, workflowId, args: [input] },
  })
  return (await handle.result()) as Result
}

async function mainOf(group: Group): Promise<string> {
  const table = await store.store.catalog.loadTable({ namespace: store.store.store, name: group })
  return String(table.ref('main'))
}

/** The snapshot that is published, where all of it is loaded and nothing else is: then nobody is writing. */
async function atRest(online: OnlineStore, group: Group): Promise<string | null> {
  const loaded = (await online.readCard(group))?.complete?.snapshotId
  return loaded === (await mainOf(group)) ? loaded : null
}

/** What is served now is remembered, unless a load was under way or came in between. */
async function readOnline(group: Group): Promise<boolean> {
  const [online] = store.store.onlineStores
  const before = online === undefined ? null : await atRest(online, group)
  if (online === undefined || before === null) return false
  const answer = await fetchGroup(online, group, () => shops.map((shop) => [shop]))
  const atMs = await store.store.now()
  if (answer === null || (await atRest(online, group)) !== before) return false
  for (const [place, reading] of readingsOf(answer, atMs, features[group]).entries()) {
    const { features: found, eventTimestampMicros: event } = reading
    const [statuses, values] = [found.map(({ status }) => status), found.map((one) => one.value)]
    readings[group].push({ shop: shops[place] ?? -1n, atMs, statuses, values, event })
  }
  return true
}

const readBoth = async () => {
  for (const group of groups) expect(await readOnline(group)).toBe(true)
}

/** Reads again and again until what is under way has ended. */
async function readWhile<Result>(running: Promise<Result>): Promise<Result> {
  let isRunning = true
  const ended = running.finally(() => (isRunning = false))
  ended.catch(() => undefined)
  while (isRunning) {
    for (const group of groups) if (await readOnline(group)) readWhileLoading += 1
    await new Promise((resolve) => setTimeout(resolve, 30 + random.below(60)))
  }
  return ended
}

/** At random moments up to the next refresh. */
async function readUntil(ms: number): Promise<void> {
  const now = await store.store.now()
  const moments = [0, 1].map(() => now + random.below(ms - now - 60_000))
  for (const moment of moments.sort((one, other) => one - other)) {
    if (moment > (await store.store.now())) await moveStoreClock(store.store.registry, { to: moment })
    await readBoth()
  }
}

/** The runs that wait are let through by their own workflows, which their refreshes left behind. */
async function letThrough(group: Group): Promise<RunResult> {
  const [waiting] = (await store.store.registry.runs({ group })).filter(({ status }) => status === 'waiting')
  const parked = store.client.workflow.getHandle(waiting?.workflowId ?? '')
  const decision = { decision: 'override', name: 'Ada', reason: 'the order is real' }
  await parked.executeUpdate(updateNames.resolveGate, { args: [decision] })
  return (await parked.result()) as RunResult
}

const both = <Result>(each: (group: Group) => Promise<Result>) => Promise.all(groups.map(each))

test('the days', { timeout: 300_000 }, async () => {
  const history = { group: 'lasting_v1', from: '2024-01-02', to: '2024-01-02T20:00:00Z' }
  expect(await run<BackfillResult>('backfill', history)).toMatchObject({ outcome: 'published', intervals: 5 })
  for (const end of intervalEnds({ from: liveAt - stepMs, to: lastEnd }, stepMs)) {
    if (end > outage.from && end < outage.to) {
      await readUntil(end + stepMs)
      continue
    }
    await letArriveUpTo(end + durationMs('12m'))
    await moveStoreClock(store.store.registry, { to: end + durationMs('12m') })
    const refreshed = await readWhile(both((group) => run<RunResult>('refresh', { group })))
    const outcome = end === held ? 'parked' : 'published'
    expect(refreshed.map((result) => result.outcome)).toEqual([outcome, outcome])
    await readBoth()
    if (end === held + 8 * 36e5) {
      const through = await readWhile(both(letThrough))
      expect(through).toMatchObject([{ outcome: 'published' }, { outcome: 'published' }])
    }
    if (end === rewrite.at) {
      const { from, to } = rewrite
      for (const group of groups) {
        beforeRewrite[group] = { readings: readings[group].length, snapshotId: await mainOf(group) }
      }
      const input = { from, to, rewrite: true }
      const rewritten = await both((group) => run<BackfillResult>('backfill', { group, ...input }))
      expect(rewritten).toMatchObject([{ outcome: 'published' }, { outcome: 'published' }])
    }
    await readUntil(end + stepMs)
  }
  const statuses = new Set(groups.flatMap((group) => readings[group].flatMap((one) => one.statuses)))
  expect([...statuses].sort()).toEqual(['NOT_FOUND', 'NULL_VALUE', 'OUTSIDE_MAX_AGE', 'PRESENT'])
  expect(readWhileLoading).toBeGreaterThan(20)
})

interface Manifest {
  readonly files: readonly string[]
  readonly hindsight: boolean
  readonly groups: readonly {
    readonly pin: {
      readonly group: Group
      readonly hindsight: boolean
      readonly moments: Readonly<Record<string, string | null>>
    }
  }[]
}

/** A training set over readings, in an order of chance. */
async function trained(
  group: Group,
  labels: readonly Reading[],
  request: Partial<TrainingInput>,
): Promise<{ labels: Reading[]; rows: Row[]; manifest: Manifest }> {
  const shuffled = labels
    .map((label) => ({ label, order: random.next() }))
    .sort((one, other) => one.order - other.order)
    .map(({ label }) => label)
  const path = join(folder, `labels-${(started += 1)}.parquet`)
  const values = shuffled.map(({ shop, atMs }) => `(${shop}::BIGINT, make_timestamptz(${atMs * 1000}))`)
  await sql(
    `COPY (SELECT * FROM (VALUES ${values.join(', ')}) AS labels(shop, "at")) TO '${path}' (FORMAT parquet)`,
  )
  const set = await run<FinishedTraining>('buildTrainingSet', {
    name: 'served',
    features: [{ group, features: features[group] }],
    labels: { path, time: 'at' },
    eventTimestamps: true,
    ...request,
  })
  const { fileIO } = store.store
  const manifest = JSON.parse(Buffer.from(await fileIO.read(set.manifestPath)).toString()) as Manifest
  const files = manifest.files.map((file) => `'${fileIO.localPath(file)}'`)
  const rows = await sql(
    `SELECT * EXCLUDE (file_row_number), epoch_us(${group}__event_timestamp) AS event FROM read_parquet([${files.join(', ')}], file_row_number = true) ORDER BY file_row_number`,
  )
  expect(rows).toHaveLength(labels.length)
  return { labels: shuffled, rows, manifest }
}

async function sql(text: string): Promise<Row[]> {
  const connection = await duckdb.connect()
  try {
    return await query(connection, text)
  } finally {
    connection.closeSync()
  }
}

const instant = (ms: number) => new Date(ms).toISOString()
const text = (values: readonly unknown[]) =>
  values.map((value) => (Object.is(value, -0) ? '-0' : String(value))).join(' ')

/** A reading and what the set makes of it, as text: status, values and the row's time. */
function asServed({ statuses, values, event, shop, atMs }: Reading): string {
  const isSeen = statuses.some((status) => status === 'PRESENT' || status === 'NULL_VALUE')
  return `shop ${shop} at ${instant(atMs)}: ${text(values)} of ${isSeen ? event : null}`
}
const asTrained = (group: Group, { shop, atMs }: Reading, row: Row) =>
  `shop ${shop} at ${instant(atMs)}: ${text(features[group].map((name) => row[name]))} of ${String(row['event'])}`

test.each(groups)('%s: what was served is what is trained', async (group) => {
  const { readings: count, snapshotId } = beforeRewrite[group]
  const { labels, rows, manifest } = await trained(group, readings[group].slice(0, count), {
    snapshots: { [group]: snapshotId },
  })
  const differing = labels.flatMap((label, place) => {
    const [was, is] = [asServed(label), asTrained(group, label, rows[place] ?? {})]
    return was === is ? [] : [{ was, is }]
  })
  expect(differing.slice(0, 5)).toEqual([])
  expect(labels.length).toBeGreaterThan(500)
  // Only the one had history made, from a source that does not say when its events arrived.
  expect(manifest.hindsight).toBe(group === 'lasting_v1')
  console.log(`${group}: ${labels.length} readings, each as it was served`)
})

test.each(groups)('%s: after the rewrite the set is the rewritten history, and says so', async (group) => {
  const { labels, rows, manifest } = await trained(group, readings[group], {})
  expect(manifest.hindsight).toBe(true)
  const [pinned] = manifest.groups
  const moments = new Map(
    Object.entries(pinned?.pin.moments ?? {}).map(([run, at]) => [run, at === null ? null : BigInt(at)]),
  )
  const published = await publishedRows(group)
  const known: FeatureRow[] = published.map((row, place) => ({
    keys: [row['shop'] as bigint],
    event: row['event'] as bigint,
    created: row['created'] as bigint,
    run: String(row['run_id']),
    values: [place],
  }))
  const rules = { moments, knowledgeCutoff: true, ttl: group === 'fresh_v1' ? 9n * 3_600_000_000n : null }
  const [from, to] = [BigInt(at(rewrite.from)) * 1000n, BigInt(at(rewrite.to)) * 1000n]
  const found = { rewritten: 0, changed: 0, served: 0 }
  labels.forEach((label, place) => {
    const row = rows[place] ?? {}
    const winner = served(known, { keys: [label.shop], at: BigInt(label.atMs) * 1000n }, rules)
    const is = asTrained(group, label, row)
    expect(row['event'] ?? null).toBe(winner?.event ?? null)
    if (winner === null) return
    const expected = published[winner.values[0] ?? -1] ?? {}
    for (const name of features[group]) {
      if (expected[name] !== null) expect(row[name], `${name} of ${is}`).toBe(expected[name])
    }
    if (winner.event > from && winner.event <= to && !moments.has(winner.run)) {
      found.rewritten += 1
      if (asServed(label) !== is) found.changed += 1
    }
  })
  const since = new Set(readings[group].slice(beforeRewrite[group].readings))
  labels.forEach((label, place) => {
    if (!since.has(label)) return
    found.served += 1
    expect(asTrained(group, label, rows[place] ?? {})).toBe(asServed(label))
  })
  // Late orders are in the rewritten rows from the beginning, and nobody was served those.
  expect(found.rewritten).toBeGreaterThan(200)
  expect(found.changed).toBeGreaterThan(50)
  expect(found.served).toBeGreaterThan(100)
})

async function publishedRows(group: Group): Promise<Row[]> {
  const { catalog, fileIO, store: namespace } = store.store
  const table = await catalog.loadTable({ namespace, name: group })
  const { files, schema } = await planScan(table)
  const relation = readDataFiles({ schema, files, localPath: (location) => fileIO.localPath(location) })
  return sql(
    `SELECT *, epoch_us(event_timestamp) AS event, epoch_us(created_timestamp) AS created FROM ${relation}`,
  )
}
