/** The reader process told to stop, with requests in flight before a real Redis that hangs. */
import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openRedis } from '../../online/index.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { atEnd, airports, fillGroups, startReader, type ReaderProcess } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const home = temporaryFolder('draining')
let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
  const store = openRedis({ url: redis.url, store: 'test' })
  await fillGroups(store)
  await store.close()
})
afterEach(() => redis.resume())
afterAll(() => redis?.end())

const agent = new Agent({ keepAlive: true })
afterAll(() => agent.destroy())

/** A GET over a connection that the client would keep. */
async function get(port: number, path: string) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, agent }, resolve).once('error', reject).end()
  })
  return { status: response.statusCode, headers: response.headers, text: await text(response) }
}
const online = `/feature-groups/${airports}/online?entity_ids=ATL`

const start = (environment: Record<string, string>): Promise<ReaderProcess> =>
  startReader(home, { ASOF_ONLINE: redis.url, ...environment })

/** Whether somebody listens there. */
const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })

const soon = (ended: Promise<number | string>) => Promise.race([ended, sleep(10_000, 'still there')])

/** A POST whose body is half there; `finish` sends the rest. */
function beginPost(port: number, path: string) {
  const headers = { 'content-type': 'application/json', 'content-length': 2 }
  const posting = request({ host: '127.0.0.1', port, path, agent, method: 'POST', headers })
  posting.write('{')
  const answer = once(posting, 'response').then(async ([response]) => {
    const { statusCode: status } = response as IncomingMessage
    return { status, text: await text(response as IncomingMessage) }
  })
  return { answer, finish: () => posting.end('}') }
}

test('it says so, goes on for the grace, lets nobody new in, answers what is under way, and ends with 0', async () => {
  const reader = await start({ ASOF_READER_GRACE: '5s', ASOF_READER_DEADLINE: '30s' })
  const { port } = reader
  const before = await get(port, online)
  expect([before.status, before.headers.connection]).toEqual([200, 'keep-alive'])
  expect((await get(port, '/ready')).status).toBe(200)
  const posting = beginPost(port, '/nowhere')
  await sleep(300)
  reader.child.kill('SIGTERM')
  const said = async () => JSON.parse((await get(port, '/ready')).text) as unknown
  await expect.poll(said, { timeout: 4_000 }).toMatchObject({ error: { code: 'draining' } })
  const ready = await get(port, '/ready')
  expect([ready.status, ready.headers['retry-after'], ready.headers.connection]).toEqual([503, '5', 'close'])
  expect((await get(port, online)).status).toBe(200)

  await expect.poll(() => listens(port), { timeout: 20_000 }).toBe(false)
  posting.finish()
  expect(await posting.answer).toMatchObject({
    status: 404,
    text: expect.stringContaining('unknown_route') as string,
  })
  // Its connection would have been kept for another minute, and is cut only after the deadline.
  expect(await soon(reader.ended)).toBe(0)
  expect(reader.log()).toBe('')
})

test('a store that hangs and clients that say nothing hold it up no longer than the deadline and a second', async () => {
  const reader = await start({ ASOF_READER_DEADLINE: '500ms' })
  const { port } = reader
  expect((await get(port, online)).status).toBe(200)
  const silent = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  silent.on('error', () => undefined)
  atEnd(() => silent.destroy())
  redis.pause()
  const underWay = get(port, online)
  await sleep(200)
  reader.child.kill('SIGTERM')
  const answer = await underWay
  expect([answer.status, JSON.parse(answer.text)]).toMatchObject([503, { error: { code: 'deadline' } }])
  expect(await soon(reader.ended)).toBe(0)
})

test('a port that is taken is said in one sentence', async () => {
  const first = await start({})
  const { ended, log } = await start({ ASOF_READER_PORT: String(first.port) })
  expect(await ended).toBe(2)
  expect(log()).toMatch(
    /^The reader cannot listen on port \d+ of 127\.0\.0\.1 \(EADDRINUSE\)\. Set [^\n]*\n$/,
  )
  first.child.kill('SIGINT')
  expect(await first.ended).toBe(0)
})
