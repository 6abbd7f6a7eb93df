/** Registration against real files: what does not fit is refused with a sentence, and nothing is registered. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, planRegistration, retire } from '../../activities/index.ts'
import { InputError } from '../../model/index.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('registration')
const features = fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url))
const model = fileURLToPath(new URL('../../model/index.ts', import.meta.url))

async function withStore<T>(
  name: string,
  environment: Record<string, string>,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const config = readConfig(
    { ASOF_HOME: join(folder, name), ASOF_FEATURES: features, ASOF_MEMORY_LIMIT: '500MB', ...environment },
    folder,
  )
  const store = await openStore(config)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

/** Writes one Parquet file of a SELECT. */
async function writeSource(name: string, select: string): Promise<string> {
  const path = join(folder, `${name}.parquet`)
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
  return path
}

const row =
  "TIMESTAMP '2024-01-02 03:04:05' AS at, 'at' AS country, 7::BIGINT AS shop, 1.5::DOUBLE AS price, 3::INTEGER AS items"

describe('a source that does not fit', () => {
  test.each([
    ['missing', null, /source orders.*nowhere\.parquet/],
    [
      'without the timestamp column',
      row.replace('AS at', 'AS "when"'),
      /no timestamp column "at".*when, country/,
    ],
    ['with a timestamp that is none', row.replace("TIMESTAMP '2024-01-02 03:04:05'", '42'), /at/],
    [
      'with a column of another type',
      row.replace('1.5::DOUBLE', "'cheap'"),
      /feature (revenue_24h|mean_price_24h|expensive_share_24h).*price/,
    ],
    ['with a key of another type', row.replace('7::BIGINT', "'seven'"), /key shop.*int64.*VARCHAR/],
    ['without a key', row.replace('AS country', 'AS land'), /no column "country"/],
  ])('%s', async (name, select, sentence) => {
    const path =
      select === null
        ? join(folder, 'nowhere.parquet')
        : await writeSource(name.replaceAll(' ', '-'), `SELECT ${select}`)
    await withStore(`bad-${name.replaceAll(' ', '-')}`, { ORDERS_PATH: path }, async (store) => {
      const refusal: unknown = await planRegistration(store).then(
        () => null,
        (error: unknown) => error,
      )
      expect(refusal).toBeInstanceOf(InputError)
      expect((refusal as InputError).message).toMatch(sentence)
      expect(await store.registry.groups()).toEqual([])
      expect(await store.catalog.listTables(store.store)).toEqual([])
    })
  })

  test('timestamps without a zone, where the source names none', async () => {
    const path = await writeSource('naive', `SELECT ${row}`)
    const definitions = join(folder, 'naive.ts')
    writeFileSync(
      definitions,
      `import { count, entity, featureGroup, parquet } from '${model}'
       const orders = parquet({ name: 'orders', path: '${path}', timestamp: 'at' })
       const shop = entity({ name: 'shop', keys: { shop: 'int64' } })
       export const group = featureGroup({ name: 'shop_orders', version: 1, owner: 'a', description: 'b', entity: shop,
         source: orders, every: '1h', features: { orders_1h: count({ over: '1h' }) } })`,
    )
    await withStore('naive-store', { ASOF_FEATURES: definitions }, async (store) => {
      await expect(planRegistration(store)).rejects.toThrow(/time ?zone/i)
    })
  })

  test('a variable that the path names and nobody has set', async () => {
    await withStore('unset', {}, async (store) => {
      await expect(planRegistration(store)).rejects.toThrow(/ORDERS_PATH/)
    })
  })
})

describe('what fits', () => {
  let path: string
  beforeAll(async () => {
    path = await writeSource('good', `SELECT ${row}`)
  })

  test('is planned as new, applied once, then unchanged; a change of meaning is refused', async () => {
    const define = (file: string, over: string, owner: string) => {
      const definitions = join(folder, file)
      writeFileSync(
        definitions,
        `import { count, entity, featureGroup, parquet } from '${model}'
         const orders = parquet({ name: 'orders', path: '${path}', timestamp: 'at', timeZone: 'UTC' })
         const shop = entity({ name: 'shop', keys: { shop: 'int64' } })
         export const group = featureGroup({ name: 'shop_orders', version: 1, owner: '${owner}', description: 'b', entity: shop,
           source: orders, every: '1h', features: { orders: count({ over: '${over}' }) } })`,
      )
      return { ASOF_FEATURES: definitions }
    }
    await withStore('changing', define('first.ts', '1h', 'ada'), async (store) => {
      const plan = await planRegistration(store)
      expect(plan.groups[0]?.change.verdict).toBe('new')
      expect(await store.registry.groups()).toEqual([])
      expect(await applyRegistration(store, plan)).toEqual(['shop_orders_v1'])
      expect((await planRegistration(store)).groups[0]?.change.verdict).toBe('unchanged')
      // A plan that has been overtaken is refused, not carried out.
      await expect(applyRegistration(store, plan)).rejects.toThrow(/shop_orders_v1/)
    })
    await withStore('changing', define('second.ts', '1h', 'grace'), async (store) => {
      const plan = await planRegistration(store)
      expect(plan.groups[0]?.change).toMatchObject({ verdict: 'cosmetic' })
      expect(await applyRegistration(store, plan)).toEqual(['shop_orders_v1'])
    })
    await withStore('changing', define('third.ts', '2h', 'grace'), async (store) => {
      const plan = await planRegistration(store)
      expect(plan.groups[0]?.change.verdict).toBe('breaking')
      const before = await store.registry.groups()
      await expect(applyRegistration(store, plan)).rejects.toThrow(/over.*version 2/s)
      expect(await store.registry.groups()).toEqual(before)
    })
  })
})

describe('what services compute on demand', () => {
  const definitions = (name: string, compute: string, exported = 'export ') => {
    const file = join(folder, `${name}.ts`)
    writeFileSync(
      file,
      `import { count, entity, feature, featureGroup, featureService, mean, onDemand, parquet } from '${model}'
       const orders = parquet({ name: 'orders', path: '${join(folder, 'asked.parquet')}', timestamp: 'at', timeZone: 'UTC' })
       const shop = entity({ name: 'shop', keys: { shop: 'int64' } })
       const group = (name: string) => featureGroup({ name, version: 1, owner: 'a', description: 'b', entity: shop,
         source: orders, every: '1h', features: { orders: count({ over: '1h' }), price: mean('price', { over: '1h' }) } })
       export const taken = group('taken')
       ${exported}const read = group('read')
       export const service = featureService({
         name: 'asked',
         features: [taken.pick('orders')],
         onDemand: [
           onDemand({
             name: 'basket',
             request: { price: 'float64' },
             reads: [read.as('other', { shop: 'other_shop' }).pick('price')],
             features: { dearness: feature('float64') },
             compute: ({ request, features, at }) => ({ dearness: ${compute} }),
           }),
         ],
       })`,
    )
    return { ASOF_FEATURES: file }
  }
  const dearness =
    "typeof request.price === 'number' && typeof features.other__price === 'number' ? request.price - features.other__price : null"

  beforeAll(async () => {
    await writeSource('asked', `SELECT ${row}`)
  })

  test.each([
    [
      'the hour',
      'new Date(at).getHours()',
      /on-demand features basket: feature dearness is not pure: .*other__price/,
    ],
    ['chance', 'Math.random()', /on-demand features basket: feature dearness is not pure: .*chance/],
    ['null', '(features.other__price as number).valueOf()', /Here other__price is null: values may be null/],
  ])('%s: refused, and nothing is registered', async (name, compute, sentence) => {
    await withStore(
      `asked-${name.replaceAll(' ', '-')}`,
      definitions(`asked-${name}`.replaceAll(' ', '-'), compute),
      async (store) => {
        await expect(planRegistration(store)).rejects.toThrow(sentence)
        expect(await store.registry.services()).toEqual([])
      },
    )
  })

  test('a group that is read and not exported is refused', async () => {
    await withStore('asked-hidden', definitions('asked-hidden', dearness, ''), async (store) => {
      await expect(planRegistration(store)).rejects.toThrow(
        /on-demand features basket read read_v1\.price, and feature group read_v1 is neither defined nor registered.*Export the group/,
      )
    })
  })

  test('is applied once, and other code under the same name is breaking; what it reads cannot be retired', async () => {
    const applied = definitions('asked-first', dearness)
    await withStore('asked', applied, async (store) => {
      await applyRegistration(store, await planRegistration(store))
      expect((await planRegistration(store)).services[0]?.change.verdict).toBe('unchanged')
      const [service] = await store.registry.services()
      expect(service?.definition).toMatchObject({
        onDemand: [
          {
            ...{ name: 'basket', codeHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
            reads: [{ group: 'read_v1', features: ['price'], role: 'other', keys: { shop: 'other_shop' } }],
          },
        ],
      })
      await expect(retire(store, 'read_v1')).rejects.toThrow(/read_v1 is used by feature service asked/)
    })
    await withStore('asked', definitions('asked-second', `2 * Number(${dearness})`), async (store) => {
      const plan = await planRegistration(store)
      expect(plan.services[0]?.change.verdict).toBe('breaking')
      await expect(applyRegistration(store, plan)).rejects.toThrow(
        /on-demand features basket changed \(the code of the function.*Give the service another name/,
      )
    })
    await withStore('asked', definitions('asked-third', dearness), async (store) => {
      expect((await planRegistration(store)).services[0]?.change.verdict).toBe('unchanged')
    })
  })
})
