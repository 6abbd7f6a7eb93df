/** Pre-joined services over real HTTP: the same answers from one key per entity as from a key for each group. */
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  entity,
  feature,
  featureService,
  onDemand,
  parquet,
  queryGroup,
  type FeatureGroup,
} from '../../model/index.ts'
import {
  openLmdb,
  openLmdbSamples,
  openRedis,
  slotsOf,
  valueSchema,
  type FeatureValue,
  type GroupAsk,
  type GroupCard,
  type KeyColumns,
  type OnlineStore,
  type Slot,
} from '../../online/index.ts'
import { createSampler, servicesOf } from '../../reader/index.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { ask, loadedAtMs as now, serve } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const hour = 36e5
const folder = temporaryFolder('pre-joined')
const trip = entity({ name: 'trip', keys: { driver: 'int64', kind: 'string' } })
const source = parquet({
  ...{ name: 'events', path: 'events', timestamp: 'at', timeZone: 'UTC', completeFrom: '2001-01-01' },
})
const define = (name: string, features: Record<string, ReturnType<typeof feature>>) =>
  queryGroup({
    ...{ name, version: 1, owner: 'a@example.com', description: name, entity: trip, sources: [source] },
    ...{ every: '1h', ttl: '7d', sql: 'SELECT * FROM events', features },
  })
const rides = define('rides', { rides: feature('int64'), mean: feature('float64', { default: 0.5 }) })
const tips = define('tips', { tips: feature('float32'), seen: feature('timestamp') })
const words = define('words', { words: feature('list<string>'), length: feature('int32') })
const groups: readonly [FeatureGroup, FeatureGroup, FeatureGroup] = [rides, tips, words]

const made = onDemand({
  name: 'made',
  request: { bonus: 'float64' },
  // One that nothing but a function takes is a part of the service, too.
  reads: [words.pick('length', 'words'), rides.pick('rides')],
  features: { sum: feature('float64', { default: -1 }), said: feature('list<string>') },
  compute: ({ request: { bonus }, features: { length, rides: count, words: said } }) => ({
    sum: [bonus, length, count].includes(null) ? null : Number(bonus) + Number(length) + Number(count),
    said,
  }),
})
const joined = featureService({
  name: 'model_v1',
  features: [tips.pick('tips', 'seen'), rides.pick('mean')],
  onDemand: [made],
  preJoined: true,
})
const apart = { ...joined, preJoined: false }
const slots = slotsOf(
  'model_v1',
  groups.map(({ id }) => id),
)

const cardOf = ({ id, features }: FeatureGroup, slot: Slot | null): Omit<GroupCard, 'complete'> => ({
  ...(slot === null ? { group: id } : { group: slot.id, slot: slot.place }),
  keys: [
    { name: 'driver', type: 'int64' },
    { name: 'kind', type: 'string' },
  ],
  schema: valueSchema(
    Object.entries(features).map(([name, one]) => ({ name, type: 'type' in one ? one.type : 'string' })),
  ),
  defaults: id === rides.id ? { mean: 0.5 } : {},
  ...{ ttlMs: 7 * 24 * hour, cadenceMs: hour },
})

const fresh = BigInt(now) * 1000n - 1n
type Row = readonly [driver: bigint, kind: string, at: bigint | null, values: readonly FeatureValue[] | null]
const rowsOf: Record<string, readonly Row[]> = {
  [rides.id]: [
    [1n, 'web', fresh, [2n ** 62n, 1.25]],
    [2n, 'a|b,c\\', fresh - 5n, [7n, NaN]],
    [3n, 'web', 0n, [3n, 3]],
    [4n, 'web', null, null],
  ],
  [tips.id]: [
    [1n, 'web', fresh - 7n, [Math.fround(0.1), 978_912_000_000_001n]],
    [3n, 'web', fresh, [null, 0n]],
    [5n, '', fresh, [-0, null]],
  ],
  [words.id]: [
    [1n, 'web', fresh, [['a', null, 'b"'], 3]],
    [2n, 'a|b,c\\', fresh, [[], null]],
    [5n, '', null, null],
  ],
}

interface Loading {
  readonly sequenceNumber?: bigint
  readonly isWhole?: boolean
  readonly snapshotId?: string
  readonly loadedAtMs?: number
}

/** Loads a group, or its slot. */
async function load(store: OnlineStore, group: FeatureGroup, isSlot: boolean, how: Loading = {}) {
  const { isWhole = true, snapshotId = '77', loadedAtMs = now - hour, sequenceNumber = 1n } = how
  const order = { incarnation: 1n, sequenceNumber }
  const card = cardOf(group, isSlot ? (slots.find((slot) => slot.group === group.id) ?? null) : null)
  const rows = (rowsOf[group.id] ?? []).map(([driver, kind, eventTimestampMicros, values]) => {
    return { keys: [driver, kind], eventTimestampMicros, values }
  })
  await store.write(card, order, rows)
  if (isWhole) await store.finishLoad(card.group, { snapshotId, order, loadedAtMs })
}

interface Watched {
  readonly store: OnlineStore
  /** The ids that it was asked for. */
  readonly asked: string[]
  /** The lists of texts that it was given for them. */
  readonly lists: (readonly string[])[]
}

function watch(store: OnlineStore): Watched {
  const asked: string[] = []
  const lists: (readonly string[])[] = []
  const watched = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      const method = member.bind(target) as (...args: unknown[]) => unknown
      if (name !== 'fetch') return method
      return (asks: Parameters<OnlineStore['fetch']>[0]) => {
        asked.push(...asks.map(({ group }) => group))
        const keysOf = ({ keys }: GroupAsk, columns: KeyColumns) => {
          const texts = keys(columns)
          if (texts.length > 0) lists.push(texts)
          return texts
        }
        return method(asks.map((one) => ({ ...one, keys: (columns: KeyColumns) => keysOf(one, columns) })))
      }
    },
  })
  return { store: watched, asked, lists }
}

const question = {
  service: 'model_v1',
  entities: {
    driver: [1, 2, 3, 4, 5, 6, null, '1', 1],
    kind: ['web', 'a|b,c\\', 'web', 'web', '', 'web', 'web', null, 'web'],
  },
  request: { bonus: [1.5, 1, 1, 1, null, 1, 1, 1, 1.5] },
}
const asText = async (url: string, body: object = question, accept = 'application/json') =>
  ask(`${url}/online`, {
    ...{ method: 'POST', body: JSON.stringify(body) },
    headers: { 'content-type': 'application/json', accept },
  })
const asBytes = async (url: string) => {
  const response = await fetch(`${url}/online`, {
    ...{ method: 'POST', body: JSON.stringify(question) },
    headers: { 'content-type': 'application/json', accept: 'application/msgpack' },
  })
  return Buffer.from(await response.arrayBuffer()).toString('hex')
}

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis?.end())

describe.each(['lmdb', 'redis'])('a pre-joined service in %s', (kind) => {
  let store: OnlineStore
  let homes = 0
  beforeEach(async () => {
    const name = `${kind}${++homes}`
    store =
      kind === 'lmdb'
        ? openLmdb({ path: join(folder, name), store: 'test' })
        : openRedis({ url: redis.url, store: name })
    for (const group of groups) await load(store, group, false)
    return () => store.close()
  })
  const groupIds = groups.map(({ id }) => id).sort()
  const slotIds = slots.map(({ id }) => id)

  test('answers from its slots what its groups answer, as JSON, as MessagePack and as Feast', async () => {
    for (const group of groups) await load(store, group, true)
    const watched = watch(store)
    const one = await serve(watched.store, { services: servicesOf([joined]) })
    const other = await serve(store, { services: servicesOf([apart]) })
    const { status, text } = await asText(one.url)
    expect(status).toBe(200)
    expect(text).toBe((await asText(other.url)).text)
    // All that they share is looked up once.
    expect([new Set(watched.lists).size, watched.lists.length >= slots.length]).toEqual([1, true])
    expect(await asBytes(one.url)).toBe(await asBytes(other.url))
    const [full, fullApart] = [one, other].map(({ url }) => asText(url, { ...question, full_names: true }))
    expect((await full)?.text).toBe((await fullApart)?.text)
    const feast = (url: string) =>
      ask(`${url}/get-online-features`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({
          feature_service: 'model_v1',
          entities: { ...question.entities, ...question.request },
        }),
      })
    expect((await feast(one.url)).text).toBe((await feast(other.url)).text)
    expect(new Set(watched.asked)).toEqual(new Set([...slotIds, ...groupIds]))
    // So that it is a test.
    const { results } = JSON.parse(text) as { results: { statuses: string[] }[] }
    expect(new Set(results.flatMap(({ statuses }) => statuses)).size).toBe(4)
    const wrong = { ...question, entities: { ...question.entities, driver: Array<string>(9).fill('x') } }
    expect((await asText(one.url, wrong)).text).toBe((await asText(other.url, wrong)).text)
    const lacking = { ...question, entities: { kind: question.entities.kind } }
    expect((await asText(one.url, lacking)).error).toEqual((await asText(other.url, lacking)).error)
    expect((await asText(one.url, lacking)).error?.message).toMatch(/by which feature group \w+_v1 is looked/)
  })

  test('is served from its groups until each slot was loaded completely, and from then on says how old slots are', async () => {
    const watched = watch(store)
    const { url } = await serve(watched.store, { services: servicesOf([joined]) })
    const before = await asText(url)
    expect(before.status).toBe(200)
    const [first, second, third] = groups
    await load(store, first, true, { snapshotId: '88', loadedAtMs: now - 3 * hour })
    await load(store, second, true)
    expect((await asText(url)).text).toBe(before.text)
    await load(store, third, true, { isWhole: false })
    expect((await asText(url)).text).toBe(before.text)
    expect(watched.asked.slice(-3).sort()).toEqual(groupIds)
    await load(store, third, true)
    watched.asked.length = watched.lists.length = 0
    const { text } = await asText(url)
    expect(new Set(watched.asked)).toEqual(new Set([...groupIds, ...slotIds]))
    // Had the groups been read, they would have been given lists of their own.
    expect(new Set(watched.lists).size).toBe(1)
    const ages = (JSON.parse(text) as { groups: object[] }).groups
    expect(ages).toEqual([
      { feature_group: tips.id, role: null, age_seconds: 3600, stale: false, snapshot_id: '77' },
      { feature_group: rides.id, role: null, age_seconds: 10_800, stale: true, snapshot_id: '88' },
      { feature_group: words.id, role: null, age_seconds: 3600, stale: false, snapshot_id: '77' },
    ])
    // What is lost of the slots is read from the groups, and what is lost of both is told as ever.
    await store.drop(slotIds[1] ?? '')
    expect((await asText(url)).text).toBe(before.text)
    await store.drop(tips.id)
    const { status, error } = await asText(url)
    expect([status, error?.code]).toEqual([503, 'not_loaded'])
    expect(error?.message).toMatch(/Feature group tips_v1 has not been loaded completely/)
  })

  test('is served from its groups while one slot is behind, for training takes what they loaded to be known', async () => {
    const { url } = await serve(store, { services: servicesOf([joined]) })
    for (const group of groups) await load(store, group, true)
    const snapshots = async () =>
      (JSON.parse((await asText(url)).text) as { groups: { snapshot_id: string }[] }).groups.map(
        ({ snapshot_id: id }) => id,
      )
    expect(await snapshots()).toEqual(['77', '77', '77'])
    await load(store, tips, false, { snapshotId: '78', sequenceNumber: 2n })
    expect(await snapshots()).toEqual(['78', '77', '77'])
    await load(store, tips, true, { snapshotId: '78', sequenceNumber: 2n, loadedAtMs: now - 2 * hour })
    const { text } = await asText(url)
    expect(text).toContain('"feature_group":"tips_v1","role":null,"age_seconds":7200')
  })

  test('shows its slots to nobody: neither as groups, nor in what is counted and kept', async () => {
    for (const group of groups) await load(store, group, true)
    const samples = openLmdbSamples({ path: join(folder, `${kind}-samples`), store: 'test' })
    const sampler = createSampler({ store: samples })
    const { url, get } = await serve(store, { services: servicesOf([joined]), sampler })
    // The row that is kept is a random one, and one with a null key is of no group.
    const whole = { entities: { driver: [2], kind: ['a|b,c\\'] }, request: { bonus: [1] } }
    expect((await asText(url, { ...question, ...whole })).status).toBe(200)
    const [slot = ''] = slotIds
    const path = `/feature-groups/${encodeURIComponent(slot)}/online?entity_ids=1%7Cweb`
    const asked = [
      await get(path),
      await asText(url, { ...question, service: undefined, features: [`${slot}:rides`] }),
      await asText(url, {
        ...question,
        service: undefined,
        features: [{ group: slot, features: ['rides'] }],
      }),
    ]
    for (const { status, error } of asked) {
      expect([status, error?.code]).toEqual([404, 'unknown_group'])
      expect(error?.message).toMatch(/There is rides_v1, tips_v1, words_v1\.$/)
    }
    const said = [(await get('/ready')).text, (await get('/metrics')).text]
    for (const text of said) {
      expect(text).toContain('rides_v1')
      expect(text).not.toMatch(/!|model_v1_/)
    }
    expect(said[1]).toContain('asof_reader_entities_total{group="tips_v1"} 1')
    expect(said[1]).toContain('asof_reader_values_total{group="tips_v1",status="NOT_FOUND"}')
    await sampler.close()
    expect((await samples.subjects()).sort()).toEqual([
      ...groupIds.map((id) => `group/${id}`),
      'service/model_v1',
    ])
    for await (const bytes of samples.read('service/model_v1')) expect(bytes.includes('!')).toBe(false)
    await samples.close()
  })
})
