/** Feast's own client reads from our reader: its `remote` online store, pointed at another address and nothing else. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { openLmdb, valueSchema, type OnlineStore } from '../../online/index.ts'
import { createReader } from '../../reader/index.ts'
import { parseExactJson } from '../../reader/exactJson.ts'
import { ensureFeast } from '../../scripts/tools.mjs'

const folder = mkdtempSync(join(tmpdir(), 'asof-feast-'))
const now = Date.parse('2026-03-01T00:00:00Z')
let store: OnlineStore
let reader: FastifyInstance

beforeAll(async () => {
  store = openLmdb({ path: join(folder, 'online'), store: 'test' })
  const order = { incarnation: 1n, sequenceNumber: 1n }
  const group = 'driver_stats_v1'
  const card = {
    ...{ group, keys: [{ name: 'driver', type: 'int64' as const }], defaults: {}, cadenceMs: 36e5 },
    schema: valueSchema([
      { name: 'trips', type: 'int64' },
      { name: 'rating', type: 'float64' },
      { name: 'city', type: 'string' },
      { name: 'recent', type: 'list<int64>' },
    ]),
    ttlMs: 7 * 86_400_000,
  }
  const at = BigInt(now - 1_000) * 1000n
  // No empty list: Feast's client cannot tell its type, whatever server it comes from.
  await store.write(card, order, [
    {
      keys: [9_007_199_254_740_993n],
      eventTimestampMicros: at,
      values: [2n ** 62n, 0.1, 'Zürich "Süd"', [1n, 2n]],
    },
    { keys: [1n], eventTimestampMicros: at, values: [0n, null, null, [3n]] },
  ])
  await store.finishLoad(group, { snapshotId: '1', order, loadedAtMs: now })
  reader = createReader({ store, nowMs: () => now, storeName: 'test', clockNote: null })
  await reader.listen({ host: '127.0.0.1', port: 0 })
}, 60_000)

afterAll(async () => {
  await reader?.close()
  await store?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('get_online_features of the feature store', async () => {
  const python = await ensureFeast(() => undefined)
  const script = fileURLToPath(new URL('../reader/feastClient.py', import.meta.url))
  const { port } = reader.server.address() as AddressInfo
  // Nobody is told of this run.
  const env = { ...process.env, FEAST_USAGE: 'False' }
  const { stdout } = await promisify(execFile)(python, [script, folder, `http://127.0.0.1:${port}`], { env })
  const answer = parseExactJson(stdout.trim().split('\n').at(-1) ?? '')
  expect(answer).toMatchObject({
    driver: [9_007_199_254_740_993n, 1, 2, 9_007_199_254_740_993n],
    trips: [2n ** 62n, 0, null, 2n ** 62n],
    rating: [0.1, null, null, 0.1],
    city: ['Zürich "Süd"', null, null, 'Zürich "Süd"'],
    recent: [[1, 2], [3], null, [1, 2]],
  })
}, 300_000)
