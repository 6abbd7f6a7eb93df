/**
 * Loads a group's winners into the online stores.
 *
 * Each store has its own mark of the last complete load and catches up from there: it takes, for all entities touched
 * since, the winner over the whole snapshot, and a tombstone for an entity that has no row any more. The order of the
 * values is the snapshot's, so loads may be repeated, overtake each other or come late.
 */
import { randomUUID } from 'node:crypto'
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, type Snapshot, type Table } from '../iceberg/index.ts'
import { defaultsOf, durationMs, InputError, IntegrityError, type BoundGroup } from '../model/index.ts'
import {
  compareOrder,
  valueSchema,
  type GroupCard,
  type LoadOrder,
  type OnlineRow,
  type OnlineStore,
} from '../online/index.ts'
import { query } from '../offline/index.ts'
import type { Activities, MaterializedGroup } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { publishedSnapshots } from './healLedger.ts'
import { withHeartbeat } from './heartbeat.ts'
import { onlineRowsOf } from './onlineRows.ts'
import { loadPathOf, summaryKeys, writeOnce } from './runFiles.ts'
import { selectWinners } from './winners.ts'

/** Rows in JavaScript at once, and a chunk of DuckDB's. */
const batchRows = 4096
export const incarnationProperty = 'asof.incarnation'

export const materializeGroup =
  (deps: ActivityDeps): Activities['materializeGroup'] =>
  ({ group: id, full = false }) =>
    withHeartbeat(async (signal, note) => {
      const { group, bound, table } = await groupOf(deps, id)
      if (!group.online) {
        throw new InputError(`Feature group ${id} is not served: its definition says online: false.`, {
          group: id,
        })
      }
      const main = table.ref('main')
      const snapshot = main === null ? null : table.snapshot(main)
      const total = { snapshotId: null as string | null, entities: 0, tombstones: 0, considered: 0 }
      if (snapshot === null) return total
      for (const store of deps.onlineStores) {
        note({ store: store.name })
        const loaded = await loadStore(deps, { store, table, bound, snapshot, full, signal })
        total.entities += loaded.entities
        total.tombstones += loaded.tombstones
        total.considered += loaded.considered
      }
      return { ...total, snapshotId: String(snapshot.snapshotId) }
    })

interface StoreLoad {
  readonly store: OnlineStore
  readonly table: Table
  readonly bound: BoundGroup
  readonly snapshot: Snapshot
  readonly full: boolean
  readonly signal: AbortSignal
}

async function loadStore(
  deps: ActivityDeps,
  load: StoreLoad,
): Promise<Omit<MaterializedGroup, 'snapshotId'>> {
  const { store, table, bound, snapshot, full } = load
  const order: LoadOrder = { incarnation: incarnationOf(table), sequenceNumber: snapshot.sequenceNumber }
  const since = full ? null : await lastLoaded(store, table, bound.group.id, order)
  const finish = async (loadedAtMs: number) =>
    store.finishLoad(bound.group.id, { snapshotId: String(snapshot.snapshotId), order, loadedAtMs })
  if (since?.snapshotId === snapshot.snapshotId) {
    // Nothing new is a load too: the values are as fresh as they can be.
    await finish(await deps.now())
    return { entities: 0, tombstones: 0, considered: 0 }
  }

  const connection = await deps.duckdb.connect()
  const into = `winners_${randomUUID().replaceAll('-', '')}`
  try {
    const localPath = (location: string) => deps.fileIO.localPath(location)
    const considered = await selectWinners(connection, { table, bound, snapshot, since, localPath, into })
    const counts = { entities: 0, tombstones: 0, considered }
    const card = cardOf(bound)
    const write = async (rows: readonly OnlineRow[]) => {
      load.signal.throwIfAborted()
      counts.entities += await store.write(card, order, rows)
      counts.tombstones += rows.filter(({ eventTimestampMicros }) => eventTimestampMicros === null).length
    }
    for await (const rows of onlineRowsOf(connection, into, bound, batchRows)) await write(rows)
    if (since === null) await buryUnknown(connection, { ...load, order, winners: into, considered }, write)
    const loadedAtMs = await deps.now()
    await finish(loadedAtMs)
    await noteFirstLoads(deps, load, since, loadedAtMs)
    return counts
  } finally {
    connection.closeSync()
  }
}

/** The snapshot from which the store can catch up; null where only a full load is right. */
async function lastLoaded(
  store: OnlineStore,
  table: Table,
  group: string,
  order: LoadOrder,
): Promise<Snapshot | null> {
  const complete = (await store.readCard(group))?.complete ?? null
  if (complete === null || complete.order.incarnation !== order.incarnation) return null
  return table.snapshot(BigInt(complete.snapshotId))
}

interface Burial extends StoreLoad {
  readonly order: LoadOrder
  /** The table of winners, all of which are written, and how many they are. */
  readonly winners: string
  readonly considered: number
}

/**
 * After a full load, whoever is in the store and has no published row gets a tombstone. All winners are in the store by
 * now: where it holds no more than them, it holds nobody else.
 */
async function buryUnknown(
  connection: DuckDBConnection,
  { store, bound, order, winners, considered }: Burial,
  write: (rows: readonly OnlineRow[]) => Promise<void>,
): Promise<void> {
  if ((await store.count?.(bound.group.id)) === considered) return
  const stored = `${winners}_stored`
  const keys = bound.keys.map(({ name }) => quoteIdentifier(name)).join(', ')
  await query(connection, `CREATE TEMP TABLE ${stored} AS SELECT ${keys} FROM ${winners} LIMIT 0`)
  const appender = await connection.createAppender(stored)
  for await (const row of store.scan(bound.group.id)) {
    // What this load wrote is a winner's, and what a later one wrote would win over the tombstone.
    if (compareOrder(row.order, order) >= 0) continue
    row.keys.forEach((value, at) => {
      const { type } = bound.keys[at] ?? {}
      if (type === 'string') appender.appendVarchar(String(value))
      else if (type === 'int64') appender.appendBigInt(BigInt(value))
      else appender.appendInteger(Number(value))
    })
    appender.endRow()
  }
  appender.closeSync()
  const gone = `${winners}_gone`
  await query(connection, `CREATE TEMP TABLE ${gone} AS FROM ${winners} LIMIT 0`)
  await query(
    connection,
    `INSERT INTO ${gone} BY NAME SELECT ${keys} FROM ${stored} ANTI JOIN ${winners} USING (${keys})`,
  )
  for await (const rows of onlineRowsOf(connection, gone, bound, batchRows)) await write(rows)
}

/** A run's rows are known from the moment of their first load (rule 5): one small file each, written once. */
async function noteFirstLoads(
  { fileIO }: ActivityDeps,
  { store, table }: StoreLoad,
  since: Snapshot | null,
  loadedAtMs: number,
): Promise<void> {
  for (const { snapshotId, summary } of publishedSnapshots(table)) {
    if (snapshotId === since?.snapshotId) return
    const runId = summary[summaryKeys.run]
    if (runId === undefined) continue
    const loadedAt = new Date(loadedAtMs).toISOString()
    await writeOnce(fileIO, loadPathOf(table.location, runId, store.name), {
      runId,
      store: store.name,
      loadedAt,
    })
  }
}

function cardOf(bound: BoundGroup): Omit<GroupCard, 'complete'> {
  const { group, keys, features } = bound
  return {
    group: group.id,
    keys,
    schema: valueSchema(features),
    defaults: defaultsOf(bound),
    ttlMs: group.ttl === null ? null : durationMs(group.ttl),
    cadenceMs: durationMs(group.every),
  }
}

function incarnationOf(table: Table): bigint {
  const text = table.metadata.properties[incarnationProperty]
  if (text === undefined) {
    throw new IntegrityError(
      `Table ${table.identifier.name} has no property ${incarnationProperty}. It was not made by \`asof apply\`.`,
    )
  }
  return BigInt(text)
}
