/** A store with two online stores, rows to publish, and what is served of them, as plain text. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { groupOf } from '../../activities/groupOf.ts'
import {
  eachRow,
  type KeyValue,
  type OnlineColumns,
  type OnlineRow,
  type OnlineStore,
  type StoredValue,
} from '../../online/index.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { writeOrders } from './orders.ts'
import { rowsOf } from './publishRows.ts'

export const group = 'shop_orders_v1'
export const days = ['2024-01-02', '2024-01-03', '2024-01-04']

/** A registered store with both kinds of online store, LMDB first. */
export async function newStore(
  folder: string,
  name: string,
  redisUrl: string,
  definitions = 'shop.ts',
): Promise<Store> {
  await writeOrders(join(folder, 'orders'), ['2024-01-01', '2024-01-02'])
  const store = await openStore(
    readConfig(
      {
        ASOF_HOME: join(folder, name),
        ASOF_FEATURES: fileURLToPath(new URL(`../fixtures/${definitions}`, import.meta.url)),
        ASOF_CLOCK: '2024-01-08T00:30:00Z',
        ASOF_MEMORY_LIMIT: '500MB',
        ASOF_THREADS: '1',
        ASOF_ONLINE: `lmdb,${redisUrl}`,
        ORDERS_PATH: join(folder, 'orders'),
      },
      folder,
    ),
  )
  await applyRegistration(store, await planRegistration(store))
  return store
}

/** Rows of some shops on some days, made of a number: two versions now and then, nulls, NaN, -0, one not yet known. */
export const relationOf = (seed: number, on: readonly string[], shops: number) =>
  `(
  SELECT ['at', 'de|', '']  [1 + CAST(h('country') % 3 AS INTEGER)] AS country, shop,
    CAST(day AS TIMESTAMPTZ) + to_hours(CAST(h('hour') % 3 AS INTEGER)) AS event_timestamp,
    CASE WHEN h('known') % 9 = 0 THEN NULL
      ELSE TIMESTAMPTZ '2024-01-05 00:00:00+00' + to_seconds(CAST(h('created') % 3 AS INTEGER)) END AS created_timestamp,
    '' AS run_id,
    CAST(h('orders') % 5 AS BIGINT) AS orders_2h,
    CASE h('revenue') % 4 WHEN 0 THEN NULL WHEN 1 THEN 'NaN'::DOUBLE WHEN 2 THEN -0.0::DOUBLE ELSE h('r') / 7 END AS revenue_24h,
    h('mean') / 3 AS mean_price_24h, CAST(h('max') % 9 AS INTEGER) AS max_items_24h,
    CAST(h('items') % 50 AS BIGINT) AS items_6h, h('share') / 1e18 AS expensive_share_24h
  FROM (SELECT unnest([${on.map((day) => `'${day} 00:00:00+00'`).join(', ')}]) AS day) AS days,
    range(9) AS shops(shop)
  WHERE h('there') % 9 < ${shops})`.replaceAll(/h\('(\w+)'\)/g, `hash('$1', day, shop, ${seed})`)

const text = (value: unknown) => (Object.is(value, -0) ? '-0' : String(value))

export const lineOf = (keys: readonly KeyValue[], value: StoredValue) =>
  [keys.map(text).join('/'), value.eventTimestampMicros, ...value.values.map(text)].join(' ')

/** Every entity with its event time and values, as text. */
export async function stored(online: OnlineStore, id = group): Promise<string[]> {
  const rows = new Map<string, string>()
  for await (const { keys, value } of online.scan(id)) {
    const key = keys.map(text).join('/')
    if (value === null) rows.delete(key)
    else rows.set(key, lineOf(keys, value))
  }
  return [...rows.values()].sort()
}

/** The same of the published table: the rule in other words than the code's. */
export async function published(store: Store, id = group): Promise<string[]> {
  const { table, bound } = await groupOf(store, id)
  const main = table.snapshot(table.ref('main') ?? 0n)
  if (main === null) return []
  const features = bound.features.map(({ name }) => `"${name}"`).join(', ')
  const connection = await store.duckdb.connect()
  const reader = await connection.runAndReadAll(
    `SELECT country, shop, epoch_us(event_timestamp), ${features} FROM ${await rowsOf(store, table, main)}
     WHERE created_timestamp IS NOT NULL
     QUALIFY row_number() OVER (PARTITION BY country, shop
       ORDER BY event_timestamp DESC, created_timestamp DESC, run_id DESC) = 1`,
  )
  connection.closeSync()
  return reader
    .getRows()
    .map(([country, shop, ...rest]) => [`${text(country)}/${text(shop)}`, ...rest.map(text)].join(' '))
    .sort()
}

/** The store, but its writes go through `write`. */
export function through(store: OnlineStore, write: OnlineStore['write']): OnlineStore {
  return {
    name: store.name,
    readCard: (id) => store.readCard(id),
    listGroups: () => store.listGroups(),
    listSlots: () => store.listSlots(),
    startLoad: (card, load) => store.startLoad(card, load),
    write,
    finishLoad: (id, mark, life) => store.finishLoad(id, mark, life),
    unfinishedLoads: (id) => store.unfinishedLoads(id),
    fetch: (asks) => store.fetch(asks),
    scan: (id) => store.scan(id),
    drop: (id) => store.drop(id),
    close: () => Promise.resolve(),
  }
}

export class BrokeOff extends Error {}

/** Dies after half of its first batch. */
export const dying = (store: OnlineStore) =>
  through(store, async (card, order, rows, life) => {
    const all = Array.isArray(rows) ? (rows as readonly OnlineRow[]) : [...eachRow(rows as OnlineColumns)]
    await store.write(card, order, all.slice(0, Math.ceil(all.length / 2)), life)
    throw new BrokeOff()
  })

/** A signal that is given once, and waited for. */
export function signalled(): { readonly given: Promise<void>; give(): void } {
  const events = new EventTarget()
  const given = new Promise<void>((resolve) => {
    events.addEventListener('given', () => {
      resolve()
    })
  })
  return { given, give: () => void events.dispatchEvent(new Event('given')) }
}
