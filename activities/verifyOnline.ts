/**
 * Compares everything that an online store holds of a group with the published table, bit for bit.
 *
 * What should be there are the winners of the snapshot that the store's own mark names, so a store that is merely behind
 * is not wrong. Both sides go into DuckDB as key text and bytes and are joined there, so memory is DuckDB's, which
 * spills, and one batch of rows.
 */
import { randomUUID } from 'node:crypto'
import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api'
import type { Snapshot, Table } from '../iceberg/index.ts'
import { AsofError, InputError, type BoundGroup } from '../model/index.ts'
import { query } from '../offline/index.ts'
import {
  compareOrder,
  encodeContent,
  keyText,
  eachRow,
  mayHaveExpired,
  valueSchema,
  type GroupCard,
  type OnlineStore,
  type ScannedRow,
  type Slot,
  type ValueSchema,
} from '../online/index.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { orderOf, snapshotAt } from './materializeGroup.ts'
import { onlineRowsOf } from './onlineRows.ts'
import { slotsOfGroup } from './slotsOfGroup.ts'
import { selectWinners } from './winners.ts'

const batchRows = 2_048
const exampleCount = 5

export type EntityFinding = 'differs' | 'missing' | 'left over'

export interface OnlineVerification {
  readonly group: string
  /** Whose slot of the group was compared; null for the group itself. */
  readonly service: string | null
  readonly store: string
  /** Whether a load was ever completed. */
  readonly loaded: boolean
  /** Whether the last complete load was of another snapshot than `main` is now. */
  readonly behind: boolean
  /** What was compared with: the mark's snapshot, or `main` where that is gone; null where nothing is published. */
  readonly snapshotId: string | null
  /** Of the snapshot. */
  readonly entities: number
  readonly differing: number
  readonly missing: number
  readonly leftOver: number
  /** Written by a load after the mark, which is under way or broke off: not compared. */
  readonly ahead: number
  /** The first few that are wrong, by key text. */
  readonly examples: readonly { readonly entity: string; readonly finding: EntityFinding }[]
  /** Why the store could not be read to its end; null where it could. */
  readonly problem: string | null
}

export function isVerified({ differing, missing, leftOver, problem }: OnlineVerification): boolean {
  return differing + missing + leftOver === 0 && problem === null
}

/** One report a store, and one for each slot of the group there. @throws InputError for a group that is not served */
export async function verifyOnline(deps: ActivityDeps, id: string): Promise<OnlineVerification[]> {
  const { group, bound, table } = await groupOf(deps, id)
  if (!group.online) {
    throw new InputError(`Feature group ${id} is not served: its definition says online: false.`, {
      group: id,
    })
  }
  const slots = slotsOfGroup(await deps.registry.services(), id)
  const reports: OnlineVerification[] = []
  for (const store of deps.onlineStores) {
    for (const slot of [null, ...slots]) {
      reports.push(await verifyAtRest(deps, { store, slot, bound, table }))
    }
  }
  return reports
}

/** What is published or loaded during a comparison may look like a difference: it is made again then, a few times. */
async function verifyAtRest(deps: ActivityDeps, verification: Verification): Promise<OnlineVerification> {
  let found = await verifyStore(deps, verification)
  for (let again = 0; again < 3 && !isVerified(found) && found.problem === null; again++) {
    const { table } = await groupOf(deps, found.group)
    const now = await verifyStore(deps, { ...verification, table })
    const same = now.snapshotId === found.snapshotId && now.behind === found.behind
    found = now
    if (same) break
  }
  return found
}

interface Verification {
  readonly store: OnlineStore
  /** Null for the group itself. */
  readonly slot: Slot | null
  readonly bound: BoundGroup
  readonly table: Table
}

async function verifyStore(deps: ActivityDeps, verification: Verification): Promise<OnlineVerification> {
  const { store, slot, bound, table } = verification
  const mainId = table.ref('main')
  const main = mainId === null ? null : table.snapshot(mainId)
  const service = slot?.service ?? null
  const report = { ...nothingFound, group: bound.group.id, service, store: store.name }
  try {
    const card = await store.readCard(storedId(verification))
    const complete = card?.complete ?? null
    const loaded = complete === null ? null : snapshotAt(table, complete)
    const snapshot = loaded ?? main
    const found = await compare(deps, verification, snapshot, card)
    return {
      ...report,
      ...found,
      loaded: complete !== null,
      behind: (loaded?.snapshotId ?? null) !== (main?.snapshotId ?? null),
      snapshotId: snapshot === null ? null : String(snapshot.snapshotId),
    }
  } catch (error) {
    if (!(error instanceof AsofError)) throw error
    return { ...report, problem: error.message }
  }
}

/** Under which the store has what is compared. */
const storedId = ({ slot, bound }: Verification) => slot?.id ?? bound.group.id

const nothingFound = {
  ...{ loaded: false, behind: false, snapshotId: null },
  ...{ entities: 0, differing: 0, missing: 0, leftOver: 0, ahead: 0, examples: [], problem: null },
}

type Comparison = Pick<
  OnlineVerification,
  'entities' | 'differing' | 'missing' | 'leftOver' | 'ahead' | 'examples'
>

async function compare(
  deps: ActivityDeps,
  verification: Verification,
  snapshot: Snapshot | null,
  card: GroupCard | null,
): Promise<Comparison> {
  const { store, bound, table } = verification
  // One connection streams the winners while the other takes both sides in.
  const [reading, comparing] = [await deps.duckdb.connect(), await deps.duckdb.connect()]
  try {
    await query(comparing, 'CREATE TEMP TABLE expected (entity VARCHAR, content BLOB, expired BOOLEAN)')
    await query(comparing, 'CREATE TEMP TABLE stored (entity VARCHAR, content BLOB, ahead BOOLEAN)')
    const schema = valueSchema(bound.features)
    const nowMs = await deps.now()
    const isExpired = (eventTimestampMicros: bigint) =>
      store.expires === true && mayHaveExpired(card?.ttlMs ?? null, eventTimestampMicros, nowMs)
    if (snapshot !== null) {
      await fillExpected(deps, { reading, comparing, table, bound, snapshot, schema, isExpired })
    }
    const columns = card?.keys ?? bound.keys
    const isAhead = await aheadOf(deps, bound, snapshot, card)
    await append(comparing, 'stored', async (appender) => {
      for await (const { keys, value, order } of store.scan(storedId(verification))) {
        appender.appendVarchar(keyText(columns, keys))
        appendContent(appender, schema, value)
        appender.appendBoolean(isAhead(order))
        appender.endRow()
        flushed(appender)
      }
    })
    return await compared(comparing)
  } finally {
    reading.closeSync()
    comparing.closeSync()
  }
}

/** What a later load than the marked one has written, up to what is published now. */
async function aheadOf(
  deps: ActivityDeps,
  bound: BoundGroup,
  snapshot: Snapshot | null,
  card: GroupCard | null,
): Promise<(order: ScannedRow['order']) => boolean> {
  const complete = card?.complete ?? null
  const { table } = await groupOf(deps, bound.group.id)
  const mainId = table.ref('main')
  const main = mainId === null ? null : table.snapshot(mainId)
  if (complete === null || snapshot === null || main === null) return () => false
  const newest = orderOf(table, main)
  return (order) => compareOrder(order, complete.order) > 0 && compareOrder(order, newest) <= 0
}

async function fillExpected(
  deps: ActivityDeps,
  {
    reading,
    comparing,
    schema,
    isExpired,
    ...request
  }: {
    reading: DuckDBConnection
    comparing: DuckDBConnection
    table: Table
    bound: BoundGroup
    snapshot: Snapshot
    schema: ValueSchema
    isExpired: (eventTimestampMicros: bigint) => boolean
  },
): Promise<void> {
  const { bound } = request
  const into = `winners_${randomUUID().replaceAll('-', '')}`
  const localPath = (location: string) => deps.fileIO.localPath(location)
  await selectWinners(reading, { ...request, since: null, localPath, into })
  await append(comparing, 'expected', async (appender) => {
    for await (const rows of onlineRowsOf(reading, into, bound, batchRows)) {
      for (const { keys, eventTimestampMicros, values } of eachRow(rows)) {
        if (eventTimestampMicros === null || values === null) continue
        appender.appendVarchar(keyText(bound.keys, keys))
        appendContent(appender, schema, { schema, eventTimestampMicros, values })
        appender.appendBoolean(isExpired(eventTimestampMicros))
        appender.endRow()
        flushed(appender)
      }
    }
  })
}

/** Bytes of no value: what stands for one that does not fit under the schema equals nothing. */
const misfit = Buffer.from('misfit')

function appendContent(appender: DuckDBAppender, schema: ValueSchema, value: ScannedRow['value']): void {
  if (value === null) appender.appendNull()
  else appender.appendBlob(encodeContent(schema, value) ?? misfit)
}

async function append(
  connection: DuckDBConnection,
  table: string,
  fill: (appender: DuckDBAppender) => Promise<void>,
): Promise<void> {
  const appender = await connection.createAppender(table)
  try {
    await fill(appender)
  } finally {
    appender.closeSync()
  }
}

const appended = new WeakMap<DuckDBAppender, number>()

/** Hands rows over now and then, which the appender would keep until it is closed. */
function flushed(appender: DuckDBAppender): void {
  const count = (appended.get(appender) ?? 0) + 1
  appended.set(appender, count)
  if (count % batchRows === 0) appender.flushSync()
}

/** A scan may come by an entity twice: what it was at last counts. A tombstone has no content. */
async function compared(connection: DuckDBConnection): Promise<Comparison> {
  await query(
    connection,
    `CREATE TEMP TABLE findings AS
     SELECT coalesce(expected.entity, found.entity) AS entity, expected.entity IS NOT NULL AS published,
       CASE WHEN found.ahead THEN 'ahead'
            WHEN expected.content IS NULL AND found.content IS NULL THEN 'equal'
            WHEN found.entity IS NULL AND expected.expired THEN 'equal'
            WHEN found.content IS NULL THEN 'missing'
            WHEN expected.content IS NULL THEN 'left over'
            WHEN expected.content = found.content THEN 'equal'
            ELSE 'differs' END AS finding
     FROM expected FULL JOIN
       (SELECT entity, arg_max_null(content, rowid) AS content, arg_max(ahead, rowid) AS ahead
        FROM stored GROUP BY entity) AS found
     ON expected.entity = found.entity`,
  )
  const counts = await query(
    connection,
    'SELECT finding, count(*) AS entities, count(*) FILTER (published) AS published FROM findings GROUP BY finding',
  )
  const count = (finding: string) =>
    Number(counts.find((row) => row['finding'] === finding)?.['entities'] ?? 0)
  const examples = await query(
    connection,
    `SELECT entity, finding FROM findings WHERE finding IN ('differs', 'missing', 'left over') ORDER BY entity LIMIT ${exampleCount}`,
  )
  return {
    entities: counts.reduce((sum, row) => sum + Number(row['published']), 0),
    differing: count('differs'),
    missing: count('missing'),
    leftOver: count('left over'),
    ahead: count('ahead'),
    examples: examples.map((row) => ({
      entity: String(row['entity']),
      finding: String(row['finding']) as EntityFinding,
    })),
  }
}
