/**
 * What a training set pins of one group's table: the snapshot, from when the rows of its runs are known, and by which
 * definition its intervals were computed. All of it is read beside the table: snapshots name their runs' ledger files, and
 * every load left a file of its own (rule 5), so it can be had for any snapshot that is still there.
 */
import type { Snapshot, Table } from '../../iceberg/index.ts'
import {
  alignDown,
  alignUp,
  durationMs,
  formatInstant,
  InputError,
  parseInstant,
  type IntervalRange,
} from '../../model/index.ts'
import type { FeatureFingerprints } from '../../registry/index.ts'
import type { ActivityDeps } from '../deps.ts'
import type { KnownGroup } from '../groupOf.ts'
import { incarnationOf } from '../groupTable.ts'
import { loadPathOf, readJsonFile, summaryKeys, type LedgerFile } from '../runFiles.ts'

export interface GroupPin {
  readonly group: string
  /** Null while nothing is published. */
  readonly snapshotId: string | null
  readonly sequenceNumber: string | null
  readonly incarnation: string
  readonly fingerprint: string
  /** Runs whose rows are known from a moment (microseconds since the epoch), or not yet (null). History is not here. */
  readonly moments: Readonly<Record<string, string | null>>
  /** Whether rows may see events that had not arrived when they were due. */
  readonly hindsight: boolean
}

export interface PinnedInterval {
  readonly features: FeatureFingerprints
  /** Features that were computed into rows which were there already (rule 6). */
  readonly filled: readonly string[]
}

/** Published intervals by their ends, as the last run left them. */
export type PinnedIntervals = ReadonlyMap<number, PinnedInterval>

const filesAtOnce = 32

/** @param asked a snapshot's id, or an instant at which the table is to be as it stood; null for as it is */
export async function pinGroup(
  deps: ActivityDeps,
  { group, registered, table }: KnownGroup,
  asked: { snapshotId?: string; asOf?: string },
): Promise<{ pin: GroupPin; intervals: PinnedIntervals }> {
  const snapshot = snapshotOf(table, group.id, asked)
  const line = snapshot === null ? [] : lineOf(table, snapshot)
  const ledgers = await inOrder(line.reverse(), async (one) => {
    const path = one.summary[summaryKeys.ledger]
    return path === undefined
      ? []
      : [{ snapshot: one, file: await readJsonFile<LedgerFile>(deps.fileIO, path) }]
  })
  const moments: Record<string, string | null> = {}
  const found = await inOrder(ledgers.flat(), async ({ snapshot: published, file }) => ({
    runId: file.runId,
    moment: await momentOf(deps, table, published, file),
  }))
  for (const { runId, moment } of found) if (moment !== undefined) moments[runId] = moment
  const intervals = new Map<number, PinnedInterval>()
  for (const { file } of ledgers.flat()) noteIntervals(intervals, file)
  return {
    pin: {
      group: group.id,
      snapshotId: snapshot === null ? null : String(snapshot.snapshotId),
      sequenceNumber: snapshot === null ? null : String(snapshot.sequenceNumber),
      incarnation: String(incarnationOf(table)),
      fingerprint: registered.fingerprint,
      moments,
      hindsight: ledgers.flat().some(({ file }) => file.hindsight),
    },
    intervals,
  }
}

function snapshotOf(
  table: Table,
  group: string,
  { snapshotId, asOf }: { snapshotId?: string; asOf?: string },
): Snapshot | null {
  if (snapshotId !== undefined) {
    const snapshot = table.snapshot(BigInt(snapshotId))
    if (snapshot !== null) return snapshot
    throw new InputError(
      `Feature group ${group} has no snapshot ${snapshotId}, or no longer. \`asof show ${group}\` names those that it has.`,
      { group, snapshotId },
    )
  }
  if (asOf === undefined) {
    const main = table.ref('main')
    return main === null ? null : table.snapshot(main)
  }
  const at = parseInstant(asOf, 'asOf')
  const snapshot = table.snapshotAsOf(at)
  if (snapshot !== null) return snapshot
  throw new InputError(
    `Feature group ${group}: nothing is kept of how its table stood at ${formatInstant(at)}. \`asof show ${group}\` names the snapshots that there are.`,
    { group, asOf },
  )
}

function lineOf(table: Table, newest: Snapshot): Snapshot[] {
  const line: Snapshot[] = []
  for (let at: Snapshot | null = newest; at !== null;) {
    line.push(at)
    at = at.parentSnapshotId === null ? null : table.snapshot(at.parentSnapshotId)
  }
  return line
}

/** Undefined for history, whose created timestamps stand alone. */
async function momentOf(
  { fileIO }: ActivityDeps,
  table: Table,
  published: Snapshot,
  // Files from before groups could be live name neither.
  { runId, knownFrom, onlineStores = [] }: Partial<LedgerFile> & Pick<LedgerFile, 'runId'>,
): Promise<string | null | undefined> {
  if (knownFrom === null || knownFrom === undefined) return undefined
  if (onlineStores.length === 0) return String(BigInt(published.timestampMs) * 1000n)
  let latest = -Infinity
  for (const store of onlineStores) {
    const path = loadPathOf(table.location, runId, store)
    if (!(await fileIO.exists(path))) return null
    const { loadedAt } = await readJsonFile<{ loadedAt: string }>(fileIO, path)
    latest = Math.max(latest, Date.parse(loadedAt))
  }
  return String(BigInt(latest) * 1000n)
}

function noteIntervals(
  intervals: Map<number, PinnedInterval>,
  { ranges, filled, features, cadenceMs }: LedgerFile,
): void {
  for (const end of endsOf(ranges, cadenceMs)) intervals.set(end, { features, filled: [] })
  for (const end of endsOf(filled, cadenceMs)) {
    const before = intervals.get(end)
    const added = Object.keys(features).filter((name) => features[name] !== before?.features[name])
    intervals.set(end, { features, filled: [...new Set([...(before?.filled ?? []), ...added])] })
  }
}

function* endsOf(ranges: readonly IntervalRange[], cadenceMs: number): Generator<number> {
  for (const { from, to } of ranges) for (let end = from + cadenceMs; end <= to; end += cadenceMs) yield end
}

/** In order, some at once. */
async function inOrder<One, Made>(all: readonly One[], make: (one: One) => Promise<Made>): Promise<Made[]> {
  const made: Made[] = []
  for (let at = 0; at < all.length; at += filesAtOnce) {
    made.push(...(await Promise.all(all.slice(at, at + filesAtOnce).map(make))))
  }
  return made
}

/** Intervals of the labels' range that were due by its end and never published, as ranges in order. */
export function missingIntervals(
  { group }: Pick<KnownGroup, 'group'>,
  intervals: PinnedIntervals,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): IntervalRange[] {
  const cadence = durationMs(group.every)
  const first = alignUp(fromMs, cadence)
  const last = alignDown(toMs - durationMs(group.availableAfter), cadence)
  const there = [...intervals.keys()].filter((end) => end >= first && end <= last).sort((a, b) => a - b)
  const missing: IntervalRange[] = []
  let from = first - cadence
  for (const end of [...there, last + cadence]) {
    if (end - cadence > from) missing.push({ from, to: end - cadence })
    from = end
  }
  return missing
}
