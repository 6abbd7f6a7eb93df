/** The store's clock (rule 11): set when the store is made, moved forward by `asof clock`, the same for every process. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { InputError } from '../../model/index.ts'
import { clock } from '../../scripts/commands/clock.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { moveStoreClock } from '../../worker/storeClock.ts'
import { writeOrders } from '../support/orders.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const hour = 36e5
const folder = temporaryFolder('clock')
const set = Date.parse('2024-01-04T00:30:00Z')
const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url))
const loader = ['--import', fileURLToPath(import.meta.resolve('tsx'))]
const execute = promisify(execFile)

const environmentOf = (name: string, clock?: string) => ({
  ASOF_HOME: join(folder, name),
  ASOF_FEATURES: path('test/fixtures/shop.ts'),
  ASOF_MEMORY_LIMIT: '500MB',
  ORDERS_PATH: join(folder, 'orders'),
  ASOF_CLOCK: clock ?? '',
})
const open = (name: string, clock?: string) => openStore(readConfig(environmentOf(name, clock), folder))

/** `asof clock` as a program. */
async function asofClock(name: string, ...args: string[]) {
  const options = { cwd: folder, env: { ...process.env, ...environmentOf(name) } }
  try {
    const program = [...loader, path('scripts/asof.ts'), 'clock', ...args]
    const { stdout, stderr } = await execute(process.execPath, program, options)
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

interface Shown {
  readonly clock: string
  readonly now: string
  readonly offsetMs: number
  readonly movedFrom: string | null
}

let store: Store
beforeAll(async () => {
  await writeOrders(join(folder, 'orders'), ['2024-01-01'])
  store = await open('set', '2024-01-04T00:30:00Z')
  await applyRegistration(store, await planRegistration(store))
})
afterAll(() => store?.close())

describe('a process that runs', () => {
  let reader: ChildProcess
  let url: string
  let log = ''
  beforeAll(async () => {
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    reader = spawn(process.execPath, [...loader, path('worker/reader.ts')], {
      cwd: folder,
      env: { ...process.env, ...environmentOf('set'), ASOF_READER_PORT: String(port) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    reader.stderr?.on('data', (text: Buffer) => (log += text.toString()))
    await once(reader, 'message')
  })
  afterAll(async () => {
    if (reader?.exitCode !== null) return
    reader.kill('SIGTERM')
    await once(reader, 'exit')
  })

  const health = async () => {
    const response = await fetch(`${url}/health`)
    const body = (await response.json()) as { now: string; clock: string }
    return { ...body, nowMs: Date.parse(body.now), header: response.headers.get('asof-clock') }
  }

  test('follows when another one moves the clock: time, health, header, log and snapshots', async () => {
    const before = await health()
    expect(before.nowMs).toBeGreaterThanOrEqual(set)
    expect(before.nowMs).toBeLessThan(set + hour)
    expect(before.header).toBe(before.clock)
    expect(before.clock).toMatch(/^set clock, -\d+ s from this machine's$/)
    expect(log).toMatch(/The store's clock is set: it is 2024-01-04T00:3.*\(set clock, -/)

    const late = await open('set')
    const moved = await asofClock('set', '--forward', '6h', '-o', 'json')
    expect(moved.code).toBe(0)
    const shown = JSON.parse(moved.stdout) as Shown
    expect(shown.clock).toBe('set')
    expect(Date.parse(shown.now)).toBeGreaterThanOrEqual(set + 6 * hour)
    expect(Date.parse(shown.now)).toBeLessThan(set + 7 * hour)
    expect(moved.stderr).toMatch(/moved from 2024-01-04T00:3.* to 2024-01-04T06:3[\s\S]*Next: .*asof refresh/)

    // The time that cannot wait goes by the last answer, and the next question brings it forward.
    expect(store.clock.lastKnownNow()).toBeLessThan(set + hour)
    expect(await store.now()).toBeGreaterThanOrEqual(set + 6 * hour)
    expect(store.clock.lastKnownNow()).toBeGreaterThanOrEqual(set + 6 * hour)
    const table = await store.catalog.loadTable({ namespace: store.store, name: 'shop_orders_v1' })
    const created = table.metadata['last-updated-ms']
    expect(created).toBeLessThan(set + hour)
    const snapshot = await table.append({ ref: 'main', files: [] })
    expect(snapshot.timestampMs).toBeGreaterThanOrEqual(set + 6 * hour)
    expect(table.metadata['last-updated-ms']).toBeGreaterThanOrEqual(snapshot.timestampMs)

    // Whoever has not heard of it yet does not turn the table's time back.
    expect(late.clock.lastKnownNow()).toBeLessThan(set + hour)
    const sameTable = await late.catalog.loadTable(table.identifier)
    const next = await sameTable.append({ ref: 'main', files: [] })
    expect(next.timestampMs).toBeGreaterThanOrEqual(snapshot.timestampMs)
    await late.close()

    await expect.poll(async () => (await health()).nowMs, { timeout: 5_000 }).toBeGreaterThan(set + 6 * hour)
    const after = await health()
    expect(after.clock).toBe(after.header)
    expect(secondsOf(after.clock) - secondsOf(before.clock)).toBe(6 * 3_600)
    await expect.poll(() => log).toMatch(/The store's clock was moved forward: it is 2024-01-04T06:3/)
  })
})

const secondsOf = (note: string) => Number(/(-?\d+) s/.exec(note)?.[1])

describe('asof clock', () => {
  test('moves to an instant, and shows where it is', async () => {
    const home = await open('instant', '2024-01-04T00:30:00Z')
    await home.close()
    const moved = await asofClock('instant', '2024-02-29T12:00:00Z')
    expect(moved).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^clock {3}set\nnow {5}2024-02-29T12:00:\d\dZ\noffset {2}-\d+ s/,
      ) as string,
    })
    const { stdout, stderr } = await asofClock('instant', '-o', 'jsonl')
    expect(stdout.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(stdout)).toMatchObject({
      clock: 'set',
      movedFrom: null,
      now: expect.stringMatching(/^2024-02-29T12:0/) as string,
    })
    expect(stderr).toBe('')
  })

  test.each([
    [
      'an instant that has passed',
      { to: '2024-01-03' },
      /never back: it is 20.* there, and 2024-01-03T00:00:00Z has passed/,
    ],
    ['no way at all', { forward: '0h' }, /moves forward, never back/],
    ['no instant', { to: 'tomorrow' }, /"tomorrow" is not an instant/],
    ['a day that is not there', { to: '2024-02-30' }, /"2024-02-30" is not an instant/],
    ['no duration', { forward: '1 hour' }, /"1 hour" is not a duration/],
    ['a way back', { forward: '-1h' }, /"-1h" is not a duration/],
    ['both', { to: '2030-01-01', forward: '1h' }, /not both/],
    ['a leap beyond the year 9999', { forward: '999999w' }, /beyond 9999-12-31T23:59:59Z/],
    ['an instant beyond the year 9999', { to: '9999-12-31T23:59:59-01:00' }, /beyond 9999-12-31T23:59:59Z/],
  ])('refuses %s', async (_what, given, sentence) => {
    const before = await store.registry.clockOffsetMs()
    const config = readConfig(environmentOf('set'), folder)
    const refused = clock(config, { to: undefined, forward: undefined, output: 'text', ...given })
    await expect(refused).rejects.toThrow(sentence)
    await expect(refused).rejects.toThrow(InputError)
    expect(await store.registry.clockOffsetMs()).toBe(before)
  })

  test('refuses to move the real clock, and to show that of no store', async () => {
    const real = await open('real')
    expect(real.clock.note).toBe(null)
    await real.close()
    expect(JSON.parse((await asofClock('real', '-o', 'json')).stdout)).toMatchObject({
      clock: 'real',
      offsetMs: 0,
    })
    expect(await asofClock('real', '--forward', '1h')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/made with the real clock, which nobody moves.*ASOF_CLOCK=/) as string,
    })
    expect(await asofClock('nowhere')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no store in .*nowhere yet/) as string,
    })
    expect(existsSync(join(folder, 'nowhere'))).toBe(false)
    await expect(open('real', '2024-01-04')).rejects.toThrow(/made with the real clock/)
  })
})

test('of many that move the clock by an hour at once, each takes effect', async () => {
  const one = await open('many', '2024-01-04T00:30:00Z')
  const other = await open('many')
  try {
    const before = await one.registry.clockOffsetMs()
    const stores = Array.from({ length: 10 }, (_, at) => (at % 2 ? one : other))
    await Promise.all(stores.map(({ registry }) => moveStoreClock(registry, { forwardMs: hour })))
    expect((await one.registry.clockOffsetMs()) - before).toBe(10 * hour)
    const [seen, alsoSeen] = [await one.now(), await other.now()]
    expect(Math.abs(seen - alsoSeen)).toBeLessThan(1_000)
    expect(seen).toBeGreaterThanOrEqual(set + 10 * hour)
  } finally {
    await one.close()
    await other.close()
  }
})

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
