/**
 * The online plane while things go wrong: a real reader process in front of a real Redis, under load the whole time. Every
 * answer is held against what it may say: all values of one row are of one load, no older than the last complete one when
 * it was asked and no newer than the last that was begun when it came. During a fault an answer may be 503; it may never
 * be wrong, and never look like a store full of new entities.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startOwn, type OwnProcess } from '../../bench/ownProcess.ts'
import { openRedis, valueSchema, type OnlineStore } from '../../online/index.ts'
import type { WrkResult } from '../../bench/wrk.ts'
import { freePort } from '../../scripts/stack.ts'
import { ensureWrk, run } from '../../scripts/tools.mjs'
import { startRedis, type TestRedis } from '../support/redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'asof-faults-'))
const groups = ['first_v1', 'second_v1']
const entities = 2_000
const usualRows = 20
/** So many that a request costs the reader more than whoever sends it. */
const manyRows = 1_000
/** Apart from any entity's number, so that a value of another entity or load is never taken for the right one. */
const stride = 1_000_003n
let redis: TestRedis
let store: OnlineStore
let reader: OwnProcess
let port = 0
/** Loads by number: begun, and complete, in all groups. */
let begun = 0
let complete = 0

beforeAll(async () => {
  redis = await startRedis({ isPersistent: false })
  store = openRedis({ url: redis.url, store: 'faults' })
  await load()
  port = await freePort()
  reader = await startOwn('../worker/reader.ts', {
    environment: {
      ASOF_HOME: join(folder, 'home'),
      ASOF_STORE: 'faults',
      ASOF_ONLINE: redis.url,
      ASOF_READER_PORT: String(port),
      // A short queue: four hundred connections are far too many for it.
      ASOF_READER_CONCURRENCY: '8',
      ASOF_READER_QUEUE: '64',
    },
  })
}, 60_000)

afterAll(async () => {
  await reader?.stop()
  await store?.close()
  await redis?.end()
  rmSync(folder, { recursive: true, force: true })
})

/** A complete load of both groups; each value says of which load and which entity it is. */
async function load(): Promise<void> {
  const n = begun + 1
  begun = n
  const order = { incarnation: 1n, sequenceNumber: BigInt(n) }
  for (const group of groups) {
    const card = {
      ...{
        group,
        keys: [{ name: 'id', type: 'string' as const }],
        defaults: {},
        ttlMs: null,
        cadenceMs: 36e5,
      },
      schema: valueSchema([
        { name: 'load', type: 'int64' },
        { name: 'check', type: 'int64' },
      ]),
    }
    const started = await store.startLoad(card, { snapshotId: String(n), order })
    const rows = Array.from({ length: entities }, (_, at) => ({
      keys: [`e${at}`],
      eventTimestampMicros: BigInt(n),
      values: [BigInt(n), BigInt(n) * stride + BigInt(at)],
    }))
    await store.write(card, order, rows, started?.life)
    await store.finishLoad(group, { snapshotId: String(n), order, loadedAtMs: Date.now() }, started?.life)
  }
  complete = n
}

const agent = new Agent({ keepAlive: true, maxSockets: 2_000 })

function post(body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/online', method: 'POST', agent }
    const sent = request({ ...options, headers: { 'content-type': 'application/json' } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      )
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

interface Tally {
  answered: number
  refused: number
  /** Sentences about answers that may not be. */
  readonly wrong: string[]
  readonly latenciesMs: number[]
}

let turn = 0
async function ask(tally: Tally): Promise<void> {
  const first = (turn = (turn + 7_919) % entities)
  const ids = Array.from({ length: usualRows }, (_, at) => (first + at * 31) % entities)
  const features = groups.flatMap((group) => [`${group}:load`, `${group}:check`])
  const body = { features, full_names: true, entities: { id: ids.map((id) => `e${id}`) } }
  const [oldest, began] = [complete, performance.now()]
  const { status, text } = await post(JSON.stringify(body))
  tally.latenciesMs.push(performance.now() - began)
  if (status === 503) tally.refused += 1
  else if (status !== 200) tally.wrong.push(`${status}: ${text.slice(0, 200)}`)
  else {
    tally.answered += 1
    tally.wrong.push(...falsehoods(text, ids, oldest, begun))
  }
}

function falsehoods(text: string, ids: readonly number[], oldest: number, newest: number): string[] {
  const { results, groups: heads } = JSON.parse(text) as {
    groups: { snapshot_id: string }[]
    results: { values: (number | null)[]; statuses: string[] }[]
  }
  const found: string[] = []
  for (const [row, { values, statuses }] of results.entries()) {
    for (const at of heads.keys()) {
      const [n, check] = values.slice(2 * at, 2 * at + 2)
      const isThere = statuses.slice(2 * at, 2 * at + 2).every((status) => status === 'PRESENT')
      const isOwn = BigInt(check ?? -1) === BigInt(n ?? 0) * stride + BigInt(ids[row] ?? -1)
      const isOfItsTime =
        (n ?? 0) >= oldest && (n ?? 0) <= newest && (n ?? 0) >= Number(heads[at]?.snapshot_id)
      if (isThere && isOwn && isOfItsTime) continue
      found.push(
        `e${ids[row]}: ${String(n)}, ${String(check)} (${statuses.join()}), asked with ${oldest} complete and ${newest} begun, head ${heads[at]?.snapshot_id}`,
      )
    }
  }
  return found
}

/** Asks with so many at a time, until it is told to stop. */
function underLoad(concurrency: number) {
  const tally: Tally = { answered: 0, refused: 0, wrong: [], latenciesMs: [] }
  let isOver = false
  const work = Array.from({ length: concurrency }, async () => {
    while (!isOver) {
      await ask(tally)
      // Whoever is refused does not come back at once.
      if (tally.refused > 0) await sleep(5)
    }
  })
  return {
    tally,
    async end(): Promise<Tally> {
      isOver = true
      await Promise.all(work)
      return tally
    },
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN
const usual = 8

async function calm(ms = 1_500): Promise<Tally> {
  const asking = underLoad(usual)
  await sleep(ms)
  return asking.end()
}

/** Nothing is refused any more, within so long. */
async function untilCalm(withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    const { refused, answered, wrong } = await calm(200)
    expect(wrong).toEqual([])
    if (refused === 0 && answered > 0) return
    if (performance.now() > until) throw new Error(`Still ${refused} refusals after ${withinMs} ms.`)
  }
}

test('loads in the middle of reads', async () => {
  const asking = underLoad(usual)
  for (let n = 0; n < 20; n++) await load()
  const { answered, refused, wrong } = await asking.end()
  expect({ refused, wrong }).toEqual({ refused: 0, wrong: [] })
  expect(answered).toBeGreaterThan(100)
}, 120_000)

test('Redis does not answer for five seconds', async () => {
  const asking = underLoad(usual)
  await sleep(500)
  redis.pause()
  await sleep(5_000)
  const before = asking.tally.refused
  redis.resume()
  await sleep(1_500)
  const { wrong } = await asking.end()
  expect(wrong).toEqual([])
  // Whoever asked meanwhile was told within the deadline.
  expect(before).toBeGreaterThan(0)
  await untilCalm(5_000)
}, 60_000)

test('Redis is slow', async () => {
  const asking = underLoad(usual)
  for (let n = 0; n < 30; n++) {
    await redis.look((client) => client.call('CLIENT', 'PAUSE', '50', 'ALL'))
    await sleep(20)
  }
  const { wrong, answered } = await asking.end()
  expect(wrong).toEqual([])
  expect(answered).toBeGreaterThan(10)
  await untilCalm(5_000)
}, 60_000)

test('Redis is killed, comes back empty, and is loaded again', async () => {
  const asking = underLoad(usual)
  await sleep(300)
  await redis.kill()
  await sleep(1_000)
  await redis.start({ empty: true })
  await sleep(2_000)
  const refused = asking.tally.refused
  await load()
  await sleep(1_000)
  const { wrong } = await asking.end()
  expect(wrong).toEqual([])
  expect(refused).toBeGreaterThan(0)
  await untilCalm(5_000)
}, 60_000)

/** More than it can answer, from a process of its own: wrk, with so many connections that ask a thousand rows each. */
async function overload(seconds: number): Promise<WrkResult> {
  const wrk = await ensureWrk(() => undefined)
  const ids = join(folder, 'ids.txt')
  writeFileSync(ids, Array.from({ length: entities }, (_, at) => `e${at}\n`).join(''))
  const script = fileURLToPath(new URL('../../bench/ask.lua', import.meta.url))
  const features = JSON.stringify(groups.flatMap((group) => [`${group}:load`, `${group}:check`]))
  const body = [`{"features":${features},"full_names":true,"entities":{"id":["`, '"]}}']
  const connections = ['-t', '1', '-c', '400', '-d', `${seconds}s`, '--timeout', '10s']
  const url = `http://127.0.0.1:${port}/online`
  const asking = [ids, String(manyRows), '1', 'application/json', ...body]
  const { output } = await run(wrk, [...connections, '-s', script, url, '--', ...asking], {})
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as WrkResult
}

test('ten times as many ask as it can answer', async () => {
  const before = await calm()
  const memoryBefore = reader.megabytes()
  const asking = underLoad(usual)
  const { requests, refused } = await overload(8)
  const { wrong, answered } = await asking.end()
  const memoryDuring = reader.peakMegabytes()
  console.log(
    `overload: of ${requests} answers ${refused} were refusals, ${answered} others were right; ${memoryBefore.toFixed(0)} MB before, ${memoryDuring.toFixed(0)} MB at most`,
  )
  expect(wrong).toEqual([])
  expect(refused).toBeGreaterThan(requests / 2)
  expect(memoryDuring).toBeLessThan(memoryBefore + 300)
  await untilCalm(5_000)
  const after = await calm()
  // Three times, because others use this machine too; it would be a hundred times with a queue that nobody empties.
  expect(median(after.latenciesMs)).toBeLessThan(3 * median(before.latenciesMs) + 20)
}, 120_000)
