/**
 * What people ask about what is served, on a store that runs: `asof get` of a service, `asof online status`, and the samples
 * that the reader has kept, which go with their group.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { groupOf } from '../../activities/groupOf.ts'
import { InputError } from '../../model/index.ts'
import { askReader } from '../../scripts/askReader.ts'
import { get } from '../../scripts/commands/get.ts'
import { questionOf, readColumn } from '../../scripts/commands/serviceQuestion.ts'
import { startStack, stopStack, type StackFile } from '../../scripts/stack.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { openSampleStore } from '../../worker/openOnline.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { offerModel } from '../fixtures/askedShop.ts'
import { allSamples } from '../online/samplesConformance.ts'
import { days, group, relationOf, stored } from '../support/onlineWorld.ts'
import { writeOrders } from '../support/orders.ts'
import { replaceDays } from '../support/publishRows.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('online-commands')
const [first = '', second = ''] = days
let redis: TestRedis
let temporal: TestWorkflowEnvironment
let environment: Record<string, string>
let config: Config
let store: Store
let stack: StackFile

beforeAll(async () => {
  ;[redis, temporal] = await Promise.all([startRedis(), startTemporal()])
  await writeOrders(join(folder, 'orders'), ['2024-01-01'])
  environment = {
    ASOF_HOME: join(folder, 'home'),
    ASOF_FEATURES: fileURLToPath(new URL('../fixtures/askedShop.ts', import.meta.url)),
    ASOF_CLOCK: '2024-01-08T00:30:00Z',
    ASOF_MEMORY_LIMIT: '500MB',
    ASOF_THREADS: '1',
    ASOF_ONLINE: `lmdb,${redis.url}`,
    ORDERS_PATH: join(folder, 'orders'),
    TEMPORAL_ADDRESS: temporal.address,
  }
  config = readConfig({ ...process.env, ...environment }, folder)
  store = await openStore(config)
  await applyRegistration(store, await planRegistration(store))
  stack = await startStack(config, () => undefined)
})
afterAll(async () => {
  if (config !== undefined) await stopStack(config.home)
  await store?.close()
  await temporal?.teardown()
  await redis?.end()
})

function asof(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL('../../scripts/asof.ts', import.meta.url)), ...args],
    { encoding: 'utf8', env: { ...process.env, ...environment } },
  )
  return { status, stdout, stderr }
}

const publish = async (seed: number, day: string, shops: number) =>
  replaceDays(store, (await groupOf(store, group)).table, [day], relationOf(seed, [day], shops))
const materialize = () => createActivities(store).materializeGroup({ group })

interface StatusRow {
  readonly store: string
  readonly state: string
  readonly [field: string]: unknown
}
const statusRows = (stdout: string) => JSON.parse(stdout) as StatusRow[]

test('asof online status: nothing published, published and not loaded, loaded, behind, broken off, away', async () => {
  const before = asof('online', 'status')
  expect([before.status, before.stdout]).toEqual([
    0,
    expect.stringMatching(
      /^lmdb +shop_orders_v1 +0 .* not published\nredis +shop_orders_v1 +- .* not published$/m,
    ),
  ])
  await publish(1, first, 9)
  const never = asof('online', 'status', '-o', 'json')
  expect(never.status).toBe(4)
  expect(statusRows(never.stdout)).toMatchObject([
    { store: 'lmdb', group, state: 'never loaded', snapshotId: null, loadedAt: null, unfinishedLoads: 0 },
    { store: 'redis', group, state: 'never loaded' },
  ])
  expect(never.stderr).toMatch(/Next: asof materialize shop_orders_v1 \(redis\)/)

  const { snapshotId } = await materialize()
  const [lmdb] = store.onlineStores
  const entities = lmdb === undefined ? 0 : (await stored(lmdb)).length
  const loaded = asof('online', 'status', '-o', 'json')
  expect([loaded.status, loaded.stderr]).toEqual([0, ''])
  const full = {
    ...{ group, state: 'fresh', problem: null, snapshotId, isMain: true, stale: false },
    ...{
      ttlSeconds: 30 * 86_400,
      unfinishedLoads: 0,
      loadedAt: expect.stringMatching(/^2024-01-08T00:3/) as string,
    },
  }
  expect(statusRows(loaded.stdout)).toMatchObject([
    { ...full, store: 'lmdb', entities },
    { ...full, store: 'redis', entities: null },
  ])

  await publish(2, second, 5)
  for (const online of store.onlineStores) {
    const card = await online.readCard(group)
    if (card?.complete === null || card === null) throw new Error('loaded')
    const order = { ...card.complete.order, sequenceNumber: card.complete.order.sequenceNumber + 1n }
    await online.startLoad(card, { snapshotId: '7', order })
  }
  const behind = asof('online', 'status')
  expect(behind.status).toBe(0)
  expect(behind.stdout).toMatch(/^redis +shop_orders_v1 +- +\d+ +no +2024-01-08T\S+ +\d+\w +30d +1 +fresh$/m)
  expect(behind.stderr).toMatch(/asof materialize shop_orders_v1 \(lmdb\)/)

  await redis.kill()
  const away = asof('online', 'status', '-o', 'json')
  expect(away.status).toBe(4)
  expect(statusRows(away.stdout)).toMatchObject([
    { store: 'lmdb', state: 'fresh', isMain: false, unfinishedLoads: 1 },
    { store: 'redis', group: null, state: 'away', problem: expect.stringMatching(/ECONNREFUSED/) as string },
  ])
  expect(away.stderr).toMatch(/^redis: online store redis:.*ECONNREFUSED/m)
  await redis.start()
  await materialize()
}, 120_000)

describe('asof get of a service', () => {
  const [country, shops] = ['country=at,de|,\\e,,at', 'shop=1,4,7,1,99']
  const more = ['rival=2,2,2,2,2', 'price=1.5,NaN,,1,1', 'items=9007199254740993,1,,1,1', 'rooms=3,,1,1,1']
  const asked = [country, shops, ...more, 'weekend=true,false,,true,true', 'note=a\\,b,c\\\\d,,\\e,x']

  test('asks with the types of its definitions, and prints the answer as it came', async () => {
    const { status, stdout, stderr } = asof('get', offerModel.name, ...asked, '-o', 'json')
    expect([status, stderr]).toEqual([0, ''])
    const question = {
      service: offerModel.name,
      entities: {
        country: ['at', 'de|', '', null, 'at'],
        ...{ shop: ['1', '4', '7', '1', '99'], rival: ['2', '2', '2', '2', '2'] },
      },
      request: {
        ...{ price: [1.5, 'NaN', null, 1, 1], items: ['9007199254740993', '1', null, '1', '1'] },
        ...{ rooms: [3, null, 1, 1, 1], weekend: [true, false, null, true, true] },
        note: ['a,b', 'c\\d', null, '', 'x'],
      },
    }
    expect(questionOf(offerModel, asked)).toEqual(question)
    const answer = await askReader(config, stack.reader.url, '/online', JSON.stringify(question))
    const results = (text: string) => text.trim().slice(text.indexOf('"features"'))
    expect(results(stdout)).toBe(results(answer.body))
    expect(stdout).toMatch(/9007199254740993,"1.5\/boolean\/true\/a,b\/3"/)
  })

  test('prints a line a row, with defaults and statuses as for a group', () => {
    const { status, stdout } = asof('get', offerModel.name, ...asked)
    expect(status).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(6)
    expect(lines[0]?.split(/ +/)).toEqual([
      ...['country', 'shop', 'rival', 'price', 'items', 'rooms', 'weekend', 'note'],
      ...['orders_2h', 'max_items_24h', 'rival__orders_2h', 'items_again', 'said'],
    ])
    expect(lines[1]).toMatch(
      /^at +1 +2 +1\.5 +9007199254740993 .* 9007199254740993 +1\.5\/boolean\/true\/a,b\/3$/,
    )
    expect(lines[3]).toMatch(/ NULL_VALUE +nothing \(NULL_VALUE\)$/)
    expect(lines[4]).toMatch(/^- +1 .* NOT_FOUND +NOT_FOUND +NOT_FOUND +1 +1\/boolean\/true\/\/1$/)
    expect(lines[5]).toMatch(/^at +99 .* NOT_FOUND +NOT_FOUND /)
  })

  test.each([
    [
      ['nobody_v1', 'shop=1'],
      /no feature service "nobody_v1"\. The definitions have offer_model_v1, plain_model_v1\./,
    ],
    [['plain_model_v1', 'shops=1'], /plain_model_v1 has no column "shops"\. It is asked by country, shop\./],
    [['plain_model_v1', 'shop=1', 'shop=2'], /shop is there twice/],
    [['plain_model_v1', 'shop=1'], /entities lacks "country"/],
    [['plain_model_v1', 'shop=1,2', 'country=at'], /shop has 2 values and country has 1/],
    [['plain_model_v1', 'shop=one', 'country=at'], /"one" is no int64/],
    [
      ['plain_model_v1', 'at|1'],
      /is a feature service\. Ask it by its columns: asof get plain_model_v1 country=… shop=…/,
    ],
    [[group, 'a=b'], /entity "a=b" has 1 keys, expected 2/],
    [['nobody_v1', 'at|1'], /no feature group "nobody_v1"/],
  ])('%s is refused with the cure', async (args, message) => {
    const [what = '', ...given] = args
    const refused = get(config, what, given, 'text')
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.toBeInstanceOf(InputError)
  })

  test('a group is asked as before', () => {
    const { status, stdout } = asof('get', group, 'at|1', 'at|99')
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/^entity +event_timestamp +orders_2h[^]*at\|99 +- +NOT_FOUND/),
    ])
  })

  test('commas, backslashes, empty texts and nulls are told apart', () => {
    const values = (text: string) => readColumn(`a=${text}`).values
    expect(values('')).toEqual([null])
    expect(values(',')).toEqual([null, null])
    expect(values('a=b,c')).toEqual(['a=b', 'c'])
    expect(values('\\,,\\\\,\\e,e\\')).toEqual([',', '\\', '', 'e\\'])
  })
})

describe('samples of what was served', () => {
  test('asof online samples prints them, newest first, and drop takes those of its group', async () => {
    const [serving] = config.onlineStores
    if (serving === undefined) throw new Error('no store serves')
    const kept = openSampleStore(config, serving, true)
    // The reader writes them a second after the first read at the latest.
    for (let n = 0; n < 5; n++)
      await askReader(config, stack.reader.url, `/feature-groups/${group}/online?entity_ids=at%7C1`)
    await expect
      .poll(async () => (await allSamples(kept, `group/${group}`)).length, { timeout: 20_000 })
      .toBeGreaterThan(5)
    expect(await kept.subjects()).toEqual([`group/${group}`, `service/${offerModel.name}`])
    await kept.close()
    const text = asof('online', 'samples', group, '--limit', '3')
    expect(text.stdout.trimEnd().split('\n')).toHaveLength(4)
    expect(text.stdout).toMatch(
      /^served at +entity +event_timestamp +snapshot +orders_2h .*\n2024-01-08T\S+ /,
    )
    const rows = JSON.parse(asof('online', 'samples', `group/${group}`, '-o', 'json').stdout) as {
      as_of: string
      entity_id: string
      features: Record<string, unknown>
    }[]
    expect(rows.length).toBeGreaterThan(3)
    expect(rows.map(({ as_of: at }) => at)).toEqual(
      rows
        .map(({ as_of: at }) => at)
        .sort()
        .reverse(),
    )
    const { results } = JSON.parse(asof('get', group, 'at|1', '-o', 'json').stdout) as {
      results: typeof rows
    }
    const one = rows.find(({ entity_id: id }) => id === 'at|1')
    expect(one?.features).toEqual(results[0]?.features)

    const vectors = asof('online', 'samples', offerModel.name, '-o', 'jsonl').stdout.trim().split('\n')
    expect(vectors[0]).toMatch(/"service":"offer_model_v1".*"statuses":\[/)
    expect(asof('online', 'samples', offerModel.name).stdout).toMatch(
      /^served at +country +shop +rival +price +items +weekend +note +rooms +orders_2h +max_items_24h +rival__orders_2h +items_again +said\n/,
    )
    const unknown = asof('online', 'samples', 'nobody_v1')
    expect([unknown.status, unknown.stderr]).toEqual([
      2,
      expect.stringMatching(
        /no served samples of "nobody_v1".*group\/shop_orders_v1, service\/offer_model_v1/,
      ),
    ])
    expect(asof('online', 'samples', group, '--limit', '0').status).toBe(2)

    expect(asof('online', 'drop', group).status).toBe(0)
    const gone = asof('online', 'samples', group)
    expect([gone.status, gone.stderr]).toEqual([
      2,
      expect.stringMatching(/no served samples of "shop_orders_v1"/),
    ])
  }, 120_000)
})
