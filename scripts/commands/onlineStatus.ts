/** `asof online status`: what each online store holds of each feature group, and how old it is. */
import { slotsOfGroup, unwantedSlots } from '../../activities/index.ts'
import { AsofError, formatDuration, formatInstant, type EpochMs } from '../../model/index.ts'
import { groupAge, parseSlotId, type GroupCard, type OnlineStore } from '../../online/index.ts'
import type { RegisteredService } from '../../registry/index.ts'
import type { Config } from '../../worker/config.ts'
import type { Store } from '../../worker/openStore.ts'
import { bold, CheckFailed, print, say, table, type Format } from '../output.ts'
import { storedName } from './storedName.ts'
import { withStore } from './withStore.ts'

export interface OnlineStatus {
  readonly store: string
  /**
   * `fresh` and `stale` are served; `not published` is a group that no store can have, `left over` a slot that no service
   * wants any more, which the group's next load takes away.
   */
  readonly state: 'fresh' | 'stale' | 'never loaded' | 'not published' | 'left over' | 'away'
  /** Null for a store that is away. */
  readonly group: string | null
  /** Of which pre-joined service this is the group's slot; null for the group itself. */
  readonly service: string | null
  /** Why the store could not be asked; null where it could. */
  readonly problem: string | null
  /** Values and tombstones; null where it is not cheap to count them. */
  readonly entities: number | null
  /** Of the last complete load; null until there was one. */
  readonly snapshotId: string | null
  /** Whether that is what the table's `main` shows; null where nothing is published. */
  readonly isMain: boolean | null
  readonly loadedAt: string | null
  readonly ageSeconds: number | null
  readonly stale: boolean | null
  /** Null for values that do not age. */
  readonly ttlSeconds: number | null
  /** Loads that are under way, or broke off. */
  readonly unfinishedLoads: number
}

export async function onlineStatus(config: Config, format: Format): Promise<void> {
  const rows = await withStore(config, async (store) => {
    const all: OnlineStatus[] = []
    const mains = await publishedSnapshots(store)
    const services = await store.registry.services()
    for (const online of store.onlineStores) {
      all.push(...(await statusOf(online, mains, services, await store.now())))
    }
    return all
  })
  print(format, rows, table(header, rows.map(rowOf)))
  if (rows.length === 0) say('No feature group is served yet. Next: asof plan')
  // One load is for a group and all its slots.
  for (const sentence of new Set(rows.map(moreOf))) if (sentence !== null) say(sentence)
  if (rows.some(isBad)) throw new CheckFailed()
}

/**
 * As `verify` judges: one that is merely behind or stale is served, one that is away or never loaded is not. In place of a
 * slot that was never loaded its group is.
 */
const isBad = ({ state, service }: OnlineStatus) =>
  state === 'away' || (state === 'never loaded' && service === null)

/** By served group the snapshot that `main` shows, null where nothing is published. */
async function publishedSnapshots(store: Store): Promise<Map<string, string | null>> {
  const mains = new Map<string, string | null>()
  for (const { id, retiredAt } of await store.registry.groups()) {
    if (retiredAt !== null || store.definitions.groups.get(id)?.online !== true) continue
    const table = await store.catalog.loadTable({ namespace: store.store, name: id })
    const main = table.ref('main')
    mains.set(id, main === null ? null : String(main))
  }
  return mains
}

type Mains = ReadonlyMap<string, string | null>

async function statusOf(
  online: OnlineStore,
  mains: Mains,
  services: readonly RegisteredService[],
  now: EpochMs,
): Promise<OnlineStatus[]> {
  try {
    const slots = await online.listSlots()
    const ofSlots = slots.flatMap((id) => parseSlotId(id)?.group ?? [])
    const groups = [...new Set([...mains.keys(), ...(await online.listGroups()), ...ofSlots])].sort()
    const kept = groups.flatMap((group) => keptOf(group, services, slots))
    return await Promise.all(kept.map((one) => keptStatus(online, one, mains.get(one.group) ?? null, now)))
  } catch (error) {
    if (!(error instanceof AsofError)) throw error
    return [{ ...nothing, store: online.name, state: 'away', group: null, problem: error.message }]
  }
}

/** What a store keeps of a group: itself, or a slot. */
interface Kept {
  readonly id: string
  readonly group: string
  readonly service: string | null
  readonly isWanted: boolean
}

function keptOf(group: string, services: readonly RegisteredService[], there: readonly string[]): Kept[] {
  const wanted = slotsOfGroup(services, group)
  const leftOver = unwantedSlots(there, group, wanted)
  return [
    { id: group, group, service: null, isWanted: true },
    ...wanted.map(({ id, service }) => ({ id, group, service, isWanted: true })),
    ...leftOver.map((id) => ({ id, group, service: parseSlotId(id)?.service ?? null, isWanted: false })),
  ]
}

const nothing = {
  ...{ service: null, problem: null, entities: null, snapshotId: null, isMain: null, loadedAt: null },
  ...{ ageSeconds: null, stale: null, ttlSeconds: null, unfinishedLoads: 0 },
}

async function keptStatus(
  online: OnlineStore,
  { id, group, service, isWanted }: Kept,
  main: string | null,
  now: EpochMs,
): Promise<OnlineStatus> {
  const [card, unfinished, entities] = await Promise.all([
    online.readCard(id),
    online.unfinishedLoads(id),
    online.count?.(id) ?? null,
  ])
  const ttlMs = card?.ttlMs ?? null
  return {
    ...nothing,
    ...{ store: online.name, group, service, entities, unfinishedLoads: unfinished.length },
    ttlSeconds: ttlMs === null ? null : ttlMs / 1000,
    ...loadedOf(card, main, now),
    ...(isWanted ? {} : { state: 'left over' as const }),
  }
}

function loadedOf(card: GroupCard | null, main: string | null, now: EpochMs) {
  const complete = card?.complete ?? null
  if (card === null && main === null) return { state: 'not published' } as const
  if (card === null || complete === null) return { state: 'never loaded' } as const
  const { ageMs, stale } = groupAge({ ...card, complete }, now)
  return {
    state: stale ? ('stale' as const) : ('fresh' as const),
    ...{ snapshotId: complete.snapshotId, isMain: main === null ? null : main === complete.snapshotId },
    ...{
      loadedAt: formatInstant(Math.floor(complete.loadedAtMs / 1000) * 1000),
      ageSeconds: ageMs / 1000,
      stale,
    },
  }
}

const header = [
  'store',
  'group',
  'entities',
  'snapshot',
  'main',
  'loaded at',
  'age',
  'ttl',
  'unfinished',
  'state',
]

function rowOf(row: OnlineStatus): string[] {
  const {
    store,
    state,
    group,
    service,
    entities,
    snapshotId,
    isMain,
    loadedAt,
    ageSeconds,
    ttlSeconds,
    unfinishedLoads,
  } = row
  return [
    ...[store, group === null ? '-' : storedName(group, service)],
    ...[entities === null ? '-' : String(entities), snapshotId ?? '-'],
    ...[
      isMain === null ? '-' : isMain ? 'yes' : 'no',
      loadedAt ?? '-',
      ageOf(ageSeconds),
      ttlSeconds === null ? '-' : formatDuration(ttlSeconds * 1_000),
    ],
    ...[String(unfinishedLoads), state],
  ]
}

/** In the largest unit of which there are two. */
function ageOf(seconds: number | null): string {
  if (seconds === null) return '-'
  if (seconds < 1) return '0s'
  const unit = [86_400, 3_600, 60].find((one) => seconds >= 2 * one) ?? 1
  return formatDuration(Math.floor(seconds / unit) * unit * 1_000)
}

function moreOf({ store, state, group, problem, isMain }: OnlineStatus): string | null {
  if (problem !== null) return `${store}: ${problem}`
  const isDue = state === 'never loaded' || state === 'left over' || isMain === false
  return isDue ? `Next: ${bold(`asof materialize ${group}`)} (${store}).` : null
}
