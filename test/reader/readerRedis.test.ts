/** The reader in front of a real Redis: one round trip a request, and what it says when Redis is away or has lost everything. */
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRedis, type OnlineStore } from '../../online/index.ts'
import { createReader } from '../../reader/index.ts'
import { cardOf, markOf, order, rowOf } from '../online/conformance.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

const group = 'airport_v1'
let redis: TestRedis
let store: OnlineStore
let reader: ReturnType<typeof createReader>
let address: string

beforeAll(async () => {
  redis = await startRedis({ password: 's3cret' })
  store = openRedis({ url: redis.url.replace('//', '//:s3cret@'), store: 'test', timeoutMs: 1_000 })
  reader = createReader({ store, nowMs: () => 10_000, storeName: 'test', clockNote: null })
  await reader.listen({ host: '127.0.0.1', port: 0 })
  address = `http://127.0.0.1:${(reader.server.address() as AddressInfo).port}`
})
afterAll(async () => {
  await reader?.close()
  await store?.close()
  await redis?.end()
})

const get = async (path: string) => {
  const response = await fetch(`${address}${path}`)
  return { status: response.status, text: await response.text() }
}
const ask = (ids: string) => get(`/feature-groups/${group}/online?entity_ids=${ids}`)

async function load(n: number): Promise<void> {
  await store.write(cardOf(group, { ttlMs: null }), order(n), [rowOf('ATL', n)])
  await store.finishLoad(group, markOf(order(n), 9_000))
}

const commandsOf = () =>
  redis.look(async (client) => Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))?.[1]))

test('serves what is stored, with one command a request', async () => {
  await load(7)
  expect((await ask('ATL')).text).toMatch(/"value":7,"status":"PRESENT"/)
  const before = await commandsOf()
  const looking = (await commandsOf()) - before
  for (let n = 0; n < 10; n++) expect((await ask('ATL,nobody')).status).toBe(200)
  expect((await commandsOf()) - before - 2 * looking).toBe(10)
})

test('one that is away, or comes back empty, is 503 and never an answer', async () => {
  await redis.kill()
  const away = await ask('ATL')
  expect(away.status).toBe(503)
  expect(away.text).toMatch(/store_unavailable/)
  expect(away.text).not.toMatch(/127\.0|s3cret/)
  expect((await get('/ready')).status).toBe(503)
  expect((await get('/health')).status).toBe(200)

  await redis.start({ empty: true })
  const empty = await until(() => ask('ATL'), /not_loaded/)
  expect(empty.status).toBe(503)
  expect((await get('/ready')).status).toBe(503)
  await store.write(cardOf(group, { ttlMs: null }), order(8), [rowOf('JFK', 8)])
  expect((await ask('ATL')).status).toBe(503)
  await load(8)
  expect((await ask('ATL')).text).toMatch(/"value":8,"status":"PRESENT"/)
})

async function until(call: () => ReturnType<typeof get>, wanted: RegExp) {
  for (let tries = 0; ; tries++) {
    const answer = await call()
    if (wanted.test(answer.text) || tries === 100) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
