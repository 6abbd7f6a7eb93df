/** Tombstones after a load of every entity: whoever is stored and has no published row any more. */
import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api'
import { planScan, quoteIdentifier, readDataFiles, type Snapshot, type Table } from '../iceberg/index.ts'
import type { BoundGroup } from '../model/index.ts'
import { query } from '../offline/index.ts'
import {
  compareOrder,
  type KeyValue,
  type LoadOrder,
  type OnlineColumns,
  type OnlineStore,
} from '../online/index.ts'
import { onlineRowsOf } from './onlineRows.ts'
import { without } from './winners.ts'

export interface Burial {
  readonly store: OnlineStore
  /** Under which the store has the group: its own, or that of a slot. */
  readonly id: string
  /** Of this load. */
  readonly order: LoadOrder
  readonly table: Table
  readonly bound: BoundGroup
  readonly snapshot: Snapshot
  /** Of loads that have no end yet: they may still write what the snapshot does not have. */
  readonly unfinished: readonly Snapshot[]
  readonly localPath: (location: string) => string
  /** The table of `selectWinners`, of all entities. */
  readonly winners: string
  /** How many they are; all of them are written. */
  readonly considered: number
  readonly batchRows: number
}

export async function buryUnknown(
  connection: DuckDBConnection,
  burial: Burial,
  write: (rows: OnlineColumns) => Promise<void>,
): Promise<void> {
  const { store, id, bound, order, unfinished, winners, considered, batchRows } = burial
  // All winners are stored by now: a store that holds no more than them holds nobody else.
  if (unfinished.length === 0 && (await store.count?.(id)) === considered) return
  const stored = `${winners}_stored`
  const keys = bound.keys.map(({ name }) => quoteIdentifier(name)).join(', ')
  await query(connection, `CREATE TEMP TABLE ${stored} AS SELECT ${keys} FROM ${winners} LIMIT 0`)
  const appender = await connection.createAppender(stored)
  for await (const { keys: values, value, order: stored } of store.scan(id)) {
    // What a later load wrote would win over the tombstone.
    if (value !== null && compareOrder(stored, order) < 0) appendKeys(appender, bound, values)
  }
  appender.closeSync()
  await addUnfinished(connection, burial, stored, keys)
  const gone = `${winners}_gone`
  await query(connection, `CREATE TEMP TABLE ${gone} AS FROM ${winners} LIMIT 0`)
  await query(
    connection,
    `INSERT INTO ${gone} BY NAME SELECT DISTINCT ${keys} FROM ${stored} ANTI JOIN ${winners} USING (${keys})`,
  )
  for await (const rows of onlineRowsOf(connection, gone, bound, batchRows)) await write(rows)
}

function appendKeys(appender: DuckDBAppender, { keys }: BoundGroup, values: readonly KeyValue[]): void {
  values.forEach((value, at) => {
    const { type } = keys[at] ?? {}
    if (type === 'string') appender.appendVarchar(String(value))
    else if (type === 'int64') appender.appendBigInt(BigInt(value))
    else appender.appendInteger(Number(value))
  })
  appender.endRow()
}

async function addUnfinished(
  connection: DuckDBConnection,
  { table, snapshot, unfinished, localPath }: Burial,
  stored: string,
  keys: string,
): Promise<void> {
  const now = (await planScan(table, { snapshotId: snapshot.snapshotId })).files
  for (const { snapshotId } of unfinished) {
    const files = without((await planScan(table, { snapshotId })).files, now)
    const rows = readDataFiles({ schema: table.schema, files, localPath })
    await query(connection, `INSERT INTO ${stored} SELECT DISTINCT ${keys} FROM ${rows}`)
  }
}
