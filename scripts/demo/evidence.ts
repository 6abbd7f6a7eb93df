/**
 * What the demo's claims rest on: fingerprints over every published row and comparisons of every served value, made
 * without the code that wrote them (no winners' SQL, no online store: plain SQL over the table and plain HTTP).
 */
import { createHash } from 'node:crypto'
import { parseJson, planScan, quoteIdentifier, readDataFiles, type Table } from '../../iceberg/index.ts'
import { durationMs, type FeatureGroup } from '../../model/index.ts'
import { query } from '../../offline/index.ts'
import type { Store } from '../../worker/openStore.ts'
import type { ReaderAnswer } from '../askReader.ts'

/** Count and content hash of all rows that `main` shows, and the names of all refs. */
export async function tableFingerprint(
  store: Store,
  id: string,
): Promise<{ rows: number; hash: string; refs: string[] }> {
  const table = await loadTable(store, id)
  const connection = await store.duckdb.connect()
  try {
    const [row] = await query(
      connection,
      `SELECT count(*) AS rows, CAST(sum(CAST(hash(t) AS HUGEINT)) AS VARCHAR) AS hash FROM ${await mainRows(store, table)} AS t`,
    )
    return {
      rows: Number(row?.['rows']),
      hash: String(row?.['hash']),
      refs: table
        .refs()
        .map(({ name }) => name)
        .sort(),
    }
  } finally {
    connection.closeSync()
  }
}

interface OfflineRow {
  readonly id: string
  readonly eventMicros: bigint
  readonly values: readonly unknown[]
}

interface ServedFeature {
  value: unknown
  status: string
}
interface ServedRow {
  entity_id: string
  event_timestamp: string | null
  features: Record<string, ServedFeature>
}

export interface Comparison {
  readonly entities: number
  readonly values: number
  /** Entities whose newest row is older than the group's ttl, and which the reader says so of. */
  readonly outsideMaxAge: number
  readonly differences: readonly string[]
}

/** A GET of the reader. */
export type Ask = (path: string) => Promise<ReaderAnswer>

/** Asks the reader for every entity of the table and compares value by value, bit for bit. */
export async function compareServed(store: Store, group: FeatureGroup, ask: Ask): Promise<Comparison> {
  const rows = await newestRows(store, group)
  const served = await serve(
    ask,
    group.id,
    rows.map(({ id }) => id),
  )
  const oldestMs = group.ttl === null ? null : (await store.now()) - durationMs(group.ttl)
  const features = Object.keys(group.features)
  const differences: string[] = []
  let outsideMaxAge = 0
  rows.forEach((row, at) => {
    const answer = served[at]
    // A minute of slack for rows that age past their ttl between the two looks at the clock.
    const expired = oldestMs !== null && row.eventMicros < BigInt(oldestMs - 60_000) * 1000n
    if (expired) outsideMaxAge += 1
    for (const difference of differing(row, answer, features, expired))
      differences.push(`${row.id}: ${difference}`)
  })
  return { entities: rows.length, values: rows.length * features.length, outsideMaxAge, differences }
}

function differing(
  row: OfflineRow,
  served: ServedRow | undefined,
  features: readonly string[],
  expired: boolean,
): string[] {
  if (served?.entity_id !== row.id) return ['the reader answered for somebody else']
  const at = new Date(Number(row.eventMicros / 1000n)).toISOString().slice(0, 19)
  if (served.event_timestamp?.slice(0, 19) !== at)
    return [`event timestamp ${String(served.event_timestamp)}, published ${at}`]
  return features.flatMap((name, index) => {
    const { value, status } = served.features[name] ?? { value: undefined, status: 'missing' }
    const published = row.values[index]
    const expected = expired ? 'OUTSIDE_MAX_AGE' : published === null ? 'NULL_VALUE' : 'PRESENT'
    if (status !== expected) return [`${name} is ${status}, expected ${expected}`]
    const same = expired || sameBits(value, published)
    return same ? [] : [`${name} is served as ${String(value)}, published as ${String(published)}`]
  })
}

/** Integers by all their digits, floats by their bits (the shortest decimal form of a double names exactly one). */
function sameBits(served: unknown, published: unknown): boolean {
  if (typeof published === 'bigint') {
    return typeof served === 'bigint' || Number.isInteger(served)
      ? BigInt(served as number | bigint) === published
      : false
  }
  return Object.is(served, published)
}

/** All answers of the reader for a group, as text without what changes with the clock. */
export async function servedFingerprint(store: Store, group: FeatureGroup, ask: Ask): Promise<string> {
  const rows = await newestRows(store, group)
  const served = await serve(
    ask,
    group.id,
    rows.map(({ id }) => id),
  )
  const text = JSON.stringify(served, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
  return createHash('sha256').update(text).digest('hex')
}

async function serve(ask: Ask, id: string, entities: readonly string[]): Promise<ServedRow[]> {
  const rows: ServedRow[] = []
  for (let at = 0; at < entities.length; at += 1000) {
    const ids = entities.slice(at, at + 1000).map(encodeURIComponent)
    const { status, body } = await ask(`/feature-groups/${id}/online?entity_ids=${ids.join(',')}`)
    if (status !== 200) throw new Error(`The reader answered ${status}: ${body}`)
    rows.push(...(parseJson(body) as { results: ServedRow[] }).results)
  }
  return rows
}

/** The newest published row of every entity, in the order of its keys. */
async function newestRows(store: Store, group: FeatureGroup): Promise<OfflineRow[]> {
  const table = await loadTable(store, group.id)
  const keys = Object.keys(group.entity.keys)
  const features = Object.keys(group.features)
  const keyList = keys.map(quoteIdentifier).join(', ')
  const connection = await store.duckdb.connect()
  try {
    const { rows } = await connection
      .runAndReadAll(
        `SELECT ${keyList}, epoch_us(event_timestamp), ${features.map(quoteIdentifier).join(', ')}
         FROM ${await mainRows(store, table)}
         QUALIFY row_number() OVER (PARTITION BY ${keyList} ORDER BY event_timestamp DESC, created_timestamp DESC, run_id DESC) = 1
         ORDER BY ${keyList}`,
      )
      .then((reader) => ({ rows: reader.getRows() }))
    return rows.map((row) => ({
      id: row.slice(0, keys.length).map(String).join('|'),
      eventMicros: row[keys.length] as bigint,
      values: row.slice(keys.length + 1),
    }))
  } finally {
    connection.closeSync()
  }
}

const loadTable = (store: Store, id: string) => store.catalog.loadTable({ namespace: store.store, name: id })

async function mainRows(store: Store, table: Table): Promise<string> {
  const { files, schema } = await planScan(table, { ref: 'main' })
  return readDataFiles({ schema, files, localPath: (location) => store.fileIO.localPath(location) })
}
