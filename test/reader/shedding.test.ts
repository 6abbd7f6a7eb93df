/** What the reader does with more than it can take on: real LMDB behind a door that the test opens, a real Redis that hangs. */
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { beforeAll, describe, expect, test } from 'vitest'
import { openRedis, type OnlineStore } from '../../online/index.ts'
import { createEdge, type EdgeOptions } from '../../reader/index.ts'
import { gated } from '../support/gatedStore.ts'
import { through } from '../support/onlineWorld.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { atEnd, airports, fillGroups, openFilled, serve, type Answered } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('shedding')
const online = `/feature-groups/${airports}/online?entity_ids=ATL`
let lmdb: OnlineStore
beforeAll(async () => {
  lmdb = await openFilled(join(folder, 'lmdb'))
})

async function serveGated(options: EdgeOptions) {
  const gate = gated(lmdb)
  const edge = createEdge(options)
  return { ...gate, edge, ...(await serve(gate.held, { edge })) }
}

const saidOf = ({ status, error }: Answered) => [status, error?.code]
const overloaded = [503, 'overloaded']

describe('places', () => {
  test('so many are under way, so many wait, and the rest is told at once', async () => {
    const bounds = { concurrency: 2, queue: 3, deadlineMs: 20_000 }
    const { get, asked, edge, open, stayOpen } = await serveGated({ bounds })
    const answers: Answered[] = []
    // Each asks something of its own: the same questions at one time are asked once.
    const all = Array.from({ length: 8 }, (_, at) =>
      get(`${online},${at}`).then((answer) => answers.push(answer)),
    )
    await expect.poll(() => answers.length).toBe(3)
    expect(answers.map(saidOf)).toEqual([overloaded, overloaded, overloaded])
    expect(answers[0]?.headers.get('retry-after')).toBe('1')
    expect([edge.gate.underWay, edge.gate.waiting, asked.now]).toEqual([2, 3, 2])
    for (const path of ['/health', '/ready']) expect((await get(path)).status).toBe(200)
    expect((await get('/nowhere')).status).toBe(503)

    open()
    await expect.poll(() => asked.ever).toBe(4)
    expect([edge.gate.underWay, edge.gate.waiting]).toEqual([2, 1])
    stayOpen()
    await Promise.all(all)
    expect(answers.slice(3).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(asked.most).toBe(2)
    await expect.poll(() => edge.gate.underWay).toBe(0)
    expect([edge.gate.waiting, edge.gate.shed.queue]).toEqual([0, 4])
    expect((await get(online)).status).toBe(200)
  })

  test('one whose client has gone gives its place to the next, and nothing is done for it', async () => {
    const { get, asked, edge, url, open, stayOpen } = await serveGated({ bounds: { concurrency: 1 } })
    const first = get(online)
    await expect.poll(() => asked.now).toBe(1)
    const leaving = new AbortController()
    const left = fetch(`${url}${online}`, { signal: leaving.signal })
    await expect.poll(() => edge.gate.waiting).toBe(1)
    const last = get(online)
    await expect.poll(() => edge.gate.waiting).toBe(2)
    leaving.abort()
    await expect(left).rejects.toThrow()
    await sleep(50)
    open()
    await first
    await expect.poll(() => asked.ever).toBe(2)
    stayOpen()
    expect((await last).status).toBe(200)
    expect(asked.ever).toBe(2)
  })
})

describe('deadlines', () => {
  test('a store that hangs: everybody is answered in time, and no more than the places ask it', async () => {
    const redis: TestRedis = await startRedis()
    const store = openRedis({ url: redis.url, store: 'test' })
    atEnd(async () => {
      await store.close()
      await redis.end()
    })
    await fillGroups(store)
    const edge = createEdge({ bounds: { concurrency: 2, queue: 2, deadlineMs: 300 } })
    const { get } = await serve(store, { edge })
    await expect.poll(async () => (await get(online)).status).toBe(200)
    redis.pause()
    const answers = await Promise.all(Array.from({ length: 6 }, () => get(online)))
    expect(answers.map(({ error }) => error?.code).sort()).toEqual([
      ...['deadline', 'deadline', 'deadline', 'deadline'],
      ...['overloaded', 'overloaded'],
    ])
    expect(answers.every(({ status, headers }) => status === 503 && headers.get('retry-after') === '1')).toBe(
      true,
    )
    // Answered, but still at work: their places are not free.
    expect(edge.gate.underWay).toBe(2)
    expect(saidOf(await get(online))).toEqual([503, 'deadline'])
    redis.resume()
    await expect.poll(() => edge.gate.underWay).toBe(0)
    await expect.poll(async () => (await get(online)).status).toBe(200)
  })

  test('what comes after the deadline is not heard, a failure neither, and the log says nothing of ids', async () => {
    const lines: unknown[] = []
    let fail: (error: Error) => void = () => undefined
    const failing: OnlineStore = {
      ...through(lmdb, (...write) => lmdb.write(...write)),
      fetch: () => new Promise((_, reject) => (fail = reject)),
    }
    const edge = createEdge({ bounds: { deadlineMs: 100 } })
    const { get } = await serve(failing, { edge, logger: memoryLogger(lines) })
    expect(saidOf(await get(`${online},SECRET`))).toEqual([503, 'deadline'])
    fail(new Error('SECRET was not found'))
    await expect.poll(() => edge.gate.underWay).toBe(0)

    const slow = gated(lmdb)
    const late = createEdge({ bounds: { deadlineMs: 100 } })
    const second = await serve(slow.held, { edge: late, logger: memoryLogger(lines) })
    expect(saidOf(await second.get(`${online},SECRET`))).toEqual([503, 'deadline'])
    slow.stayOpen()
    await expect.poll(() => late.gate.underWay).toBe(0)
    await expect.poll(async () => (await second.get(online)).status).toBe(200)
    expect(JSON.stringify(lines)).not.toContain('SECRET')
    expect(lines).toEqual([])
  })
})

/** A logger that keeps warnings and errors. */
function memoryLogger(lines: unknown[]) {
  const keep = (...line: unknown[]) => void lines.push(line.map((part) => JSON.stringify(part)))
  const quiet = () => undefined
  const logger = {
    ...{ level: 'info', fatal: keep, error: keep, warn: keep },
    ...{ info: quiet, debug: quiet, trace: quiet, silent: quiet },
    child: () => logger,
  }
  return logger
}

/** Sends raw bytes on a connection of its own, which it never closes, and says what came back until the other side did. */
function raw(port: number, send: string) {
  let text = ''
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(send))
  socket.setEncoding('utf8').on('data', (part) => (text += String(part)))
  socket.on('error', () => undefined)
  atEnd(() => socket.destroy())
  const closed = new Promise<string>((resolve) => {
    for (const event of ['end', 'close']) socket.once(event, () => resolve(text))
  })
  return { socket, closed, text: () => text }
}

const connectionsOf = ({ server }: FastifyInstance) =>
  new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)))

describe('slow and greedy clients', () => {
  test('a body beyond the limit is refused in our words, announced or not', async () => {
    const { get, edge } = await serveGated({ bounds: { bodyBytes: 1000, queue: 2, deadlineMs: 20_000 } })
    const body = JSON.stringify({ service: 'x'.repeat(1000) })
    const headers = { 'content-type': 'application/json' }
    const chunked = { body: new Blob([body]).stream(), duplex: 'half' } as RequestInit
    for (const init of [{ body }, chunked]) {
      expect(saidOf(await get('/online', { method: 'POST', headers, ...init }))).toEqual([413, 'too_large'])
    }
    // Nothing of these stays: there would be no room for the third.
    for (const broken of ['{', '{"a"', '[']) {
      expect((await get('/online', { method: 'POST', headers, body: broken })).status).toBe(400)
    }
    await expect.poll(() => edge.gate.shed).toEqual({ queue: 0, lag: 0, deadline: 0, slow_request: 0 })
  })

  test('bodies that trickle in are cut, and take no place from those who ask in one piece', async () => {
    const bounds = { concurrency: 1, queue: 2, deadlineMs: 1_000 }
    const { get, port, edge, stayOpen } = await serveGated({ bounds })
    stayOpen()
    const head =
      'POST /online HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{'
    const dripping = [raw(port, head), raw(port, head)]
    const third = async () => saidOf(await get('/online', { method: 'POST', body: 'ab' }))
    await expect.poll(third).toEqual(overloaded)
    expect((await get(online)).status).toBe(200)
    for (const { closed } of dripping) {
      const [answer, ...more] = (await closed).split('HTTP/1.1 ').slice(1)
      expect(answer).toMatch(
        /^408 Request Timeout\r\n([^]+\r\n)?connection: close\r\n[^]*"code":"slow_request"/,
      )
      expect(more).toEqual([])
    }
    expect(edge.gate.shed.slow_request).toBe(2)
    // One that leaves in the middle of its body is forgotten at once.
    const leaving = [raw(port, head), raw(port, head)]
    await expect.poll(third).toEqual(overloaded)
    for (const { socket } of leaving) socket.destroy()
    await expect.poll(third, { timeout: 500 }).not.toEqual(overloaded)
  })

  test('bodies and addresses are bounded in the sum of their bytes', async () => {
    const { get, port, asked, stayOpen } = await serveGated({ bounds: { heldBytes: 300 } })
    const head =
      'POST /online HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 250\r\n\r\n{'
    raw(port, head)
    const post = async () => saidOf(await get('/online', { method: 'POST', body: 'x'.repeat(60) }))
    await expect.poll(post).toEqual(overloaded)
    const long = get(`${online},${'x'.repeat(200)}`)
    await expect.poll(() => asked.now).toBe(1)
    expect(saidOf(await get(`${online},${'x'.repeat(60)}`))).toEqual(overloaded)
    stayOpen()
    expect((await long).status).toBe(200)
  })

  test('a connection that says nothing, or never ends its headers, is cut', async () => {
    const { app, port } = await serveGated({ server: { requestMs: 600 } })
    const silent = raw(port, '')
    const endless = raw(port, 'GET /health HTTP/1.1\r\nhost: x\r\n')
    const dripping = setInterval(() => endless.socket.write('a: b\r\n'), 100)
    atEnd(() => clearInterval(dripping))
    expect(await endless.closed).toMatch(/^HTTP\/1.1 408 [^]*"code":"slow_request"/)
    await silent.closed
    await expect.poll(() => connectionsOf(app), { timeout: 3_000 }).toBe(0)
  })

  test('a client that does not take its answers is cut', async () => {
    const { app, port, stayOpen } = await serveGated({ server: { untakenMs: 1_000 } })
    stayOpen()
    const ids = Array.from({ length: 1000 }, () => 'ATL').join(',')
    const greedy = `GET /feature-groups/${airports}/online?entity_ids=${ids} HTTP/1.1\r\nhost: x\r\n\r\n`
    const { socket } = raw(port, greedy.repeat(60))
    socket.pause()
    await expect.poll(() => connectionsOf(app)).toBe(1)
    await expect.poll(() => connectionsOf(app), { timeout: 10_000 }).toBe(0)
  })

  test('connections beyond the limit are closed as they come', async () => {
    const { port } = await serveGated({ server: { maxConnections: 2 } })
    const ask = 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n'
    const taken = [raw(port, ask), raw(port, ask)]
    for (const { text } of taken) await expect.poll(text).toMatch(/^HTTP\/1.1 200/)
    expect(await raw(port, ask).closed).toBe('')
  })
})

test('while the event loop turns too slowly nothing new is taken on', async () => {
  const { get, edge, stayOpen } = await serveGated({ bounds: { deadlineMs: 200 } })
  stayOpen()
  let blocking = true
  const block = () => {
    const end = performance.now() + 150
    while (performance.now() < end);
    if (blocking) setTimeout(block)
  }
  block()
  await expect.poll(() => edge.gate.lagMs).toBeGreaterThan(100)
  expect(saidOf(await get(online))).toEqual(overloaded)
  expect((await get('/health')).status).toBe(200)
  blocking = false
  await expect.poll(async () => (await get(online)).status).toBe(200)
  expect(edge.gate.shed.lag).toBeGreaterThan(0)
})
