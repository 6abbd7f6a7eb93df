/** Identical questions at one time are answered once, others never by each other's answer; with a cache and without. */
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { cached, type OnlineStore } from '../../online/index.ts'
import { createEdge } from '../../reader/index.ts'
import { gated } from '../support/gatedStore.ts'
import { airports, ask, openFilled, serve } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('coalesced')
const path = `/feature-groups/${airports}/online?entity_ids=ATL,NOBODY`
const wanted = { group: airports, features: ['departures'] }
const question = { features: [wanted], entities: { origin: ['ATL', 'JFK'] } }
let lmdb: OnlineStore
beforeAll(async () => {
  lmdb = await openFilled(join(folder, 'lmdb'))
})

async function serveGated() {
  const gate = gated(lmdb)
  const edge = createEdge()
  const { url, get } = await serve(gate.held, { edge })
  const post = (body: string, accept = 'application/json') =>
    ask(`${url}/online`, { method: 'POST', body, headers: { 'content-type': 'application/json', accept } })
  const shared = async () =>
    Number(/^asof_reader_coalesced_requests_total (\d+)$/m.exec((await get('/metrics')).text)?.[1])
  return { ...gate, get, post, edge, shared }
}

test('what is asked by many at once is read once, in each of the forms', async () => {
  const { asked, get, post, edge, shared, stayOpen } = await serveGated()
  const body = JSON.stringify(question)
  const packed = { headers: { accept: 'application/msgpack' } }
  const all = [
    ...Array.from({ length: 5 }, () => get(path)),
    ...Array.from({ length: 3 }, () => get(path, packed)),
    ...Array.from({ length: 4 }, () => post(body)),
    post(body, 'application/msgpack'),
    // The same to us, and not to the letter.
    post(` ${body}`),
  ]
  await expect.poll(() => edge.gate.underWay).toBe(all.length)
  expect(asked.now).toBe(5)
  stayOpen()
  const answers = await Promise.all(all)
  expect(answers.map(({ status }) => status)).toEqual(all.map(() => 200))
  expect(new Set(answers.map(({ text }) => text)).size).toBe(4)
  expect(await shared()).toBe(all.length - 5)
  // What is over is not remembered.
  await get(path)
  expect([asked.ever, await shared()]).toEqual([6, all.length - 5])
})

test('a question that cannot be answered is refused to all who ask it, and asked anew', async () => {
  const { get, stayOpen } = await serveGated()
  const missing = '/feature-groups/nothing_v1/online?entity_ids=ATL'
  const all = [get(missing), get(missing)]
  stayOpen()
  expect((await Promise.all(all)).map(({ status }) => status)).toEqual([404, 404])
  expect((await get(missing)).status).toBe(404)
})

test('neither an address nor a list of features is taken for what a body or a name says', async () => {
  const { get, post, edge, stayOpen } = await serveGated()
  const address = get(path)
  const body = post(path)
  await expect.poll(() => edge.gate.underWay).toBe(1)
  stayOpen()
  expect([(await address).status, (await body).status]).toEqual([200, 400])
  expect((await post(JSON.stringify(question))).status).toBe(200)
  // As the list is known by, which was asked for just now.
  const { group, features } = wanted
  const service = JSON.stringify([{ group, role: null, keys: {}, features }])
  expect((await post(JSON.stringify({ service, entities: question.entities }))).status).toBe(404)
})

test('from memory the same is answered, to many at once too', async () => {
  const store = cached(lmdb, { maxBytes: 1 << 20, keeps: { ttlMs: 60_000 } })
  const [plain, remembering] = [await serve(lmdb), await serve(store)]
  const paths = ['ATL', 'JFK,ATL', 'NOBODY,OLD', 'ATL'].map(
    (ids) => `/feature-groups/${airports}/online?entity_ids=${ids}`,
  )
  for (let turn = 0; turn < 3; turn++) {
    const answers = await Promise.all(paths.flatMap((one) => [plain, remembering].map(({ get }) => get(one))))
    answers.forEach(({ status, text }, at) => {
      expect([status, text]).toEqual([200, answers[at - (at % 2)]?.text])
    })
  }
  expect(store.counters().hits).toBeGreaterThanOrEqual(8)
})
