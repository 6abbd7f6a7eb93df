/**
 * Loads a group's winners into the online stores.
 *
 * Each store has its own mark of the last complete load and catches up from there: it takes, for all entities touched
 * since, the winner over the whole snapshot, and a tombstone for an entity that has no row any more. The order of the
 * values is the snapshot's, so loads may be repeated, overtake each other or come late.
 *
 * A load that breaks off leaves values that no mark covers. A store remembers which loads started, so the next one looks
 * at what they touched as well: what stands in none of two snapshots may have been written from one between them. The
 * same goes for a slow load that is overtaken: whatever it still writes, the later one has written with a greater order.
 *
 * Behind a group's own load its slots in pre-joined services are loaded, each in the same way from its own mark, and of the
 * very same snapshot. From when a run's rows are known (rule 5) is a matter of the group's own loads alone: no slot is ahead
 * of them, and while one is behind, readers read the group in its place.
 */
import { randomUUID } from 'node:crypto'
import type { Snapshot, Table } from '../iceberg/index.ts'
import {
  ConflictError,
  defaultsOf,
  durationMs,
  InputError,
  UnavailableError,
  type BoundGroup,
} from '../model/index.ts'
import {
  valueSchema,
  type GroupCard,
  type LoadOrder,
  type LoadStart,
  type OnlineColumns,
  type OnlineStore,
  type Slot,
  type StartedLoad,
} from '../online/index.ts'
import type { Activities, MaterializedGroup } from '../workflows/contract.ts'
import { buryUnknown } from './buryUnknown.ts'
import type { ActivityDeps } from './deps.ts'
import { groupOf } from './groupOf.ts'
import { incarnationOf } from './groupTable.ts'
import { publishedSnapshots } from './healLedger.ts'
import { withHeartbeat } from './heartbeat.ts'
import { onlineRowsOf } from './onlineRows.ts'
import { loadPathOf, summaryKeys, writeOnce } from './runFiles.ts'
import { slotsOfGroup, unwantedSlots } from './slotsOfGroup.ts'
import { underWay } from './underWay.ts'
import { selectWinners } from './winners.ts'

/** Rows in JavaScript at once, and a chunk of DuckDB's. */
const batchRows = 4096

/** Batches that a store is given before the first of them is written, so that it need not wait for the next one. */
const writesAtOnce = 3

/** How often a load may find that a later one was first, before somebody is told. */
const attempts = 5

export const materializeGroup =
  (deps: ActivityDeps): Activities['materializeGroup'] =>
  ({ group: id, full = false }) =>
    withHeartbeat(async (signal, note) => {
      const { group } = await groupOf(deps, id)
      if (!group.online) {
        throw new InputError(`Feature group ${id} is not served: its definition says online: false.`, {
          group: id,
        })
      }
      const total = { snapshotId: null as string | null, entities: 0, tombstones: 0, considered: 0 }
      let away: UnavailableError | null = null
      for (const store of deps.onlineStores) {
        note({ store: store.name })
        try {
          const loaded = await loadMain(deps, store, id, { full, signal })
          if (loaded === null) continue
          const { counts, load } = loaded
          await loadSlots(deps, load)
          total.snapshotId = String(load.snapshot.snapshotId)
          total.entities += counts.entities
          total.tombstones += counts.tombstones
          total.considered += counts.considered
        } catch (error) {
          // A store that is away keeps none of the others from catching up; the retry is for it alone.
          if (!(error instanceof UnavailableError)) throw error
          away ??= error
        }
      }
      if (away !== null) throw away
      return total
    })

type LoadCounts = Omit<MaterializedGroup, 'snapshotId'>

/** Loads what is published now, and says what that was; null where nothing is. */
async function loadMain(
  deps: ActivityDeps,
  store: OnlineStore,
  id: string,
  how: Pick<StoreLoad, 'full' | 'signal'>,
): Promise<{ counts: LoadCounts; load: StoreLoad } | null> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const { bound, table } = await groupOf(deps, id)
    const main = table.ref('main')
    const snapshot = main === null ? null : table.snapshot(main)
    if (snapshot === null) return null
    const load = { store, table, bound, snapshot, ...how }
    const counts = await loadSnapshot(deps, load)
    if (counts !== null) return { counts, load }
  }
  throw new ConflictError(
    `Online store ${store.name} has begun a load of ${id} from a later snapshot than the table's main. Wait for the other load; or, if main was moved back without a commit, publish its content as a new one (\`asof backfill ${id} --rewrite\`).`,
    { group: id, store: store.name },
  )
}

/**
 * Loads the slots of a group that was just loaded, and takes away those that no registered service wants any more. One of
 * which a later load has begun is left to that.
 */
async function loadSlots(deps: ActivityDeps, load: StoreLoad): Promise<void> {
  const { store, bound } = load
  const wanted = slotsOfGroup(await deps.registry.services(), bound.group.id)
  for (const slot of wanted) await loadSnapshot(deps, { ...load, slot })
  const unwanted = unwantedSlots(await store.listSlots(), bound.group.id, wanted)
  for (const id of unwanted) await store.drop(id)
}

export interface StoreLoad {
  readonly store: OnlineStore
  readonly table: Table
  readonly bound: BoundGroup
  readonly snapshot: Snapshot
  readonly full: boolean
  readonly signal: AbortSignal
  /** Loads this slot in place of the group itself. */
  readonly slot?: Slot
}

/**
 * Brings one store from its own mark to a snapshot; null where a load of a later one has started or finished there, so
 * that this one is not wanted any more.
 */
export async function loadSnapshot(deps: ActivityDeps, load: StoreLoad): Promise<LoadCounts | null> {
  const { store, table, bound, snapshot, full, slot } = load
  const card = cardOf(bound, slot)
  const snapshotId = String(snapshot.snapshotId)
  const order = orderOf(table, snapshot)
  const started = await store.startLoad(card, { snapshotId, order })
  if (started === null) return null
  const unfinished = started.unfinished.flatMap((one) => snapshotAt(table, one) ?? [])
  const isWhole = full || started.mustBeWhole || unfinished.length < started.unfinished.length
  const since = isWhole ? null : lastLoaded(table, started)
  // The load before may have died once it was complete; its mark still says when that was.
  const loaded = lastLoaded(table, started)
  if (loaded !== null && started.complete !== null) {
    const { loadedAtMs } = started.complete
    await noteFirstLoads(deps, load, { upTo: loaded, since: null, loadedAtMs })
  }
  const finish = async (loadedAtMs: number) =>
    store.finishLoad(card.group, { snapshotId, order, loadedAtMs }, started.life)
  if (since?.snapshotId === snapshot.snapshotId) {
    // Nothing new is a load too: the values are as fresh as they can be.
    await finish(await deps.now())
    return { entities: 0, tombstones: 0, considered: 0 }
  }

  const connection = await deps.duckdb.connect()
  const winners = `winners_${randomUUID().replaceAll('-', '')}`
  try {
    const localPath = (location: string) => deps.fileIO.localPath(location)
    const request = { table, bound, snapshot, since, unfinished, localPath }
    const considered = await selectWinners(connection, { ...request, into: winners })
    const counts = { entities: 0, tombstones: 0, considered }
    const write = async (rows: OnlineColumns) => {
      load.signal.throwIfAborted()
      const written = await store.write(card, order, rows, started.life)
      // After the await: other writes count meanwhile.
      counts.entities += written
      counts.tombstones += rows.eventTimestampMicros.nulls?.reduce((sum, isNull) => sum + isNull) ?? 0
    }
    const writes = underWay(writesAtOnce)
    try {
      for await (const rows of onlineRowsOf(connection, winners, bound, batchRows)) {
        await writes.begin(() => write(rows))
      }
    } finally {
      await writes.end()
    }
    if (since === null && !started.isFirst) {
      const { group: id } = card
      await buryUnknown(connection, { ...request, store, id, order, winners, considered, batchRows }, write)
    }
    const loadedAtMs = await deps.now()
    await finish(loadedAtMs)
    await noteFirstLoads(deps, load, { upTo: snapshot, since, loadedAtMs })
    return counts
  } finally {
    connection.closeSync()
  }
}

/** The snapshot from which the store can catch up; null where only a full load is right. */
const lastLoaded = (table: Table, { complete }: LoadStart): Snapshot | null =>
  complete === null ? null : snapshotAt(table, complete)

/** Null where it belongs to a table that is gone, or has expired. */
export function snapshotAt(table: Table, { snapshotId, order }: StartedLoad): Snapshot | null {
  return order.incarnation === incarnationOf(table) ? table.snapshot(BigInt(snapshotId)) : null
}

export const orderOf = (table: Table, { sequenceNumber }: Snapshot): LoadOrder => ({
  incarnation: incarnationOf(table),
  sequenceNumber,
})

/**
 * A run's rows are known from the moment of the group's first load (rule 5): one small file each, written once. Oldest first,
 * so that where one is there, all before it are.
 *
 * @param upTo the newest snapshot that was loaded, of whose line those are noted that come after `since`
 */
async function noteFirstLoads(
  { fileIO }: ActivityDeps,
  { store, table, slot }: StoreLoad,
  { upTo, since, loadedAtMs }: { upTo: Snapshot; since: Snapshot | null; loadedAtMs: number },
): Promise<void> {
  if (slot !== undefined) return
  const line = publishedSnapshots(table)
  const from = line.findIndex(({ snapshotId }) => snapshotId === upTo.snapshotId)
  const paths: { runId: string; path: string }[] = []
  for (const { snapshotId, summary } of from < 0 ? [] : line.slice(from)) {
    if (snapshotId === since?.snapshotId) break
    const runId = summary[summaryKeys.run]
    if (runId === undefined) continue
    const path = loadPathOf(table.location, runId, store.name)
    if (await fileIO.exists(path)) break
    paths.push({ runId, path })
  }
  const loadedAt = new Date(loadedAtMs).toISOString()
  for (const { runId, path } of paths.reverse()) {
    await writeOnce(fileIO, path, { runId, store: store.name, loadedAt })
  }
}

function cardOf(bound: BoundGroup, slot: Slot | undefined): Omit<GroupCard, 'complete'> {
  const { group, keys, features } = bound
  return {
    ...(slot === undefined ? { group: group.id } : { group: slot.id, slot: slot.place }),
    keys,
    schema: valueSchema(features),
    defaults: defaultsOf(bound),
    ttlMs: group.ttl === null ? null : durationMs(group.ttl),
    cadenceMs: durationMs(group.every),
  }
}
