/**
 * The interval ledger. A range is written as one statement that counts through its intervals inside the database, so
 * that ten years of hours cost two parameters and no round trips, and a run's record is there whole or not at all.
 */
import { sql, type Kysely } from 'kysely'
import { InputError } from '../model/errors.ts'
import { formatDuration, formatInstant, type IntervalRange } from '../model/time.ts'
import { canonicalJson } from './canonicalJson.ts'
import type { FeatureFingerprints, LedgerEntry, Registry } from './registry.ts'
import { readInteger, readJson, readNullableInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type LedgerMemory = Pick<
  Registry,
  'recordPublished' | 'published' | 'ledgerSummary' | 'publishedRunIds' | 'unsettled' | 'noteRead'
>

/** Two parameters a range; SQLite takes 32,766 in a statement. */
const rangesPerStatement = 10_000

export function ledgerMemory(db: Kysely<RegistryTables>): LedgerMemory {
  return {
    recordPublished: (entry) => recordPublished(db, entry),
    published: async (group, range) => {
      const rows = await db
        .selectFrom('asof_intervals')
        .select(['interval_end', 'run_id', 'fingerprint', 'computed_fingerprint', 'sequence_number'])
        .select('let_through')
        .where('group_id', '=', group)
        .where('interval_end', '>', range.from)
        .where('interval_end', '<=', range.to)
        .orderBy('interval_end')
        .execute()
      const featuresOf = await featureSets(db, group)
      return rows.map((row) => ({
        end: readInteger(row.interval_end, 'asof_intervals.interval_end'),
        runId: row.run_id,
        fingerprint: row.fingerprint,
        features: featuresOf(row.fingerprint),
        filled: addedSince(featuresOf(row.computed_fingerprint), featuresOf(row.fingerprint)),
        letThrough: readInteger(row.let_through, 'asof_intervals.let_through') === 1,
        sequenceNumber: readInteger(row.sequence_number, 'asof_intervals.sequence_number'),
      }))
    },
    ledgerSummary: async (group) => {
      const { intervals, first, last } = await db
        .selectFrom('asof_intervals')
        .select(({ fn }) => [
          fn.countAll<number | bigint | string>().as('intervals'),
          fn.min('interval_end').as('first'),
          fn.max('interval_end').as('last'),
        ])
        .where('group_id', '=', group)
        .executeTakeFirstOrThrow()
      return {
        intervals: readInteger(intervals, 'count of asof_intervals'),
        first: readNullableInteger(first, 'asof_intervals.interval_end'),
        last: readNullableInteger(last, 'asof_intervals.interval_end'),
      }
    },
    publishedRunIds: async (group) => {
      const rows = await db
        .selectFrom('asof_intervals')
        .select('run_id')
        .distinct()
        .where('group_id', '=', group)
        .execute()
      return new Set(rows.map(({ run_id }) => run_id))
    },
    unsettled: async (group, latenessMs) => {
      const rows = await db
        .selectFrom('asof_intervals')
        .select('interval_end')
        .where('group_id', '=', group)
        .where(sql<boolean>`read_at < interval_end + ${integer(latenessMs)}`)
        .orderBy('interval_end')
        .execute()
      return rows.map(({ interval_end }) => readInteger(interval_end, 'asof_intervals.interval_end'))
    },
    noteRead: (group, ranges, readAt) =>
      db.transaction().execute((transaction) => noteRead(transaction, group, ranges, readAt)),
  }
}

const integer = (value: number) => sql`cast(${value} as bigint)`

/** Every feature set of a group by fingerprint; one that nobody has noted has no features. */
async function featureSets(
  db: Kysely<RegistryTables>,
  group: string,
): Promise<(fingerprint: string) => FeatureFingerprints> {
  const rows = await db
    .selectFrom('asof_feature_sets')
    .select(['fingerprint', 'features'])
    .where('group_id', '=', group)
    .execute()
  const sets = new Map(
    rows.map(({ fingerprint, features }) => [
      fingerprint,
      readJson(features, 'asof_feature_sets.features') as FeatureFingerprints,
    ]),
  )
  return (fingerprint) => sets.get(fingerprint) ?? {}
}

function addedSince(computed: FeatureFingerprints, now: FeatureFingerprints): string[] {
  return Object.keys(now).filter((name) => computed[name] !== now[name])
}

async function recordPublished(db: Kysely<RegistryTables>, entry: LedgerEntry): Promise<void> {
  const { ranges, filled, reread, corrected } = entry
  for (const range of [...ranges, ...filled, ...reread, ...corrected]) checkRange(range, entry)
  await db.transaction().execute(async (transaction) => {
    await transaction
      .insertInto('asof_feature_sets')
      .values({
        group_id: entry.group,
        fingerprint: entry.fingerprint,
        features: canonicalJson(entry.features),
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    for (let at = 0; at < entry.ranges.length; at += rangesPerStatement) {
      await writeRanges(transaction, entry, entry.ranges.slice(at, at + rangesPerStatement), 'computed')
    }
    for (let at = 0; at < entry.filled.length; at += rangesPerStatement) {
      await writeRanges(transaction, entry, entry.filled.slice(at, at + rangesPerStatement), 'filled')
    }
    await noteRead(transaction, entry.group, entry.reread, entry.readAt, entry.sequenceNumber)
    for (const range of entry.corrected) await writeCorrected(transaction, entry, range)
    await keepState(transaction, entry)
  })
}

async function noteRead(
  db: Kysely<RegistryTables>,
  group: string,
  ranges: readonly IntervalRange[],
  readAt: number,
  upToSequenceNumber = Number.MAX_SAFE_INTEGER,
): Promise<void> {
  for (const { from, to } of ranges) {
    await db
      .updateTable('asof_intervals')
      .set({ read_at: readAt })
      .where('group_id', '=', group)
      .where('interval_end', '>', from)
      .where('interval_end', '<=', to)
      .where('read_at', '<', readAt)
      // What was written after this run's snapshot may have been computed from an earlier reading.
      .where('sequence_number', '<=', upToSequenceNumber)
      .execute()
  }
}

/** A correction adds versions to the rows that were computed before: only who wrote last is another one. */
async function writeCorrected(
  db: Kysely<RegistryTables>,
  { group, runId, sequenceNumber, snapshotId, publishedAt, letThrough }: LedgerEntry,
  { from, to }: IntervalRange,
): Promise<void> {
  await db
    .updateTable('asof_intervals')
    .set({
      run_id: runId,
      sequence_number: sequenceNumber,
      ...(letThrough ? { let_through: 1 } : {}),
      snapshot_id: snapshotId,
      published_at: publishedAt,
    })
    .where('group_id', '=', group)
    .where('interval_end', '>', from)
    .where('interval_end', '<=', to)
    .where('sequence_number', '<', sequenceNumber)
    .execute()
}

/** What a lost registry finds again in the ledger files: when the group went live, and its last created timestamp. */
async function keepState(
  db: Kysely<RegistryTables>,
  { group, liveFrom, knownFrom }: LedgerEntry,
): Promise<void> {
  const ledger = db.updateTable('asof_ledgers').where('group_id', '=', group)
  if (liveFrom !== null) {
    await ledger
      .set({ live_from: liveFrom })
      .where(({ or, eb }) => or([eb('live_from', 'is', null), eb('live_from', '>', liveFrom)]))
      .execute()
  }
  if (knownFrom !== null) {
    await ledger.set({ last_created: knownFrom }).where('last_created', '<', knownFrom).execute()
  }
}

function checkRange({ from, to }: IntervalRange, { cadenceMs, group }: LedgerEntry): void {
  if (!(cadenceMs > 0) || !(from < to) || from % cadenceMs !== 0 || to % cadenceMs !== 0) {
    throw new InputError(
      `feature group ${group}: ${formatInstant(from)} to ${formatInstant(to)} is no range of whole intervals of ${formatDuration(cadenceMs)}. Both ends must lie on the cadence, the first before the last.`,
      { group, from, to, cadenceMs },
    )
  }
}

async function writeRanges(
  db: Kysely<RegistryTables>,
  entry: LedgerEntry,
  ranges: readonly IntervalRange[],
  how: 'computed' | 'filled',
): Promise<void> {
  if (ranges.length === 0) return
  const step = integer(entry.cadenceMs)
  const bounds = ranges.map(({ from, to }) => sql`(${integer(from + entry.cadenceMs)}, ${integer(to)})`)
  // A fill leaves the rows as they were computed.
  const computed =
    how === 'filled' ? sql`asof_intervals.computed_fingerprint` : sql`excluded.computed_fingerprint`
  const readAt = how === 'filled' ? sql`asof_intervals.read_at` : sql`excluded.read_at`
  // `where true` keeps SQLite from reading `on conflict` as the condition of a join.
  await sql`
    insert into asof_intervals
      (group_id, interval_end, run_id, fingerprint, computed_fingerprint, sequence_number, snapshot_id, published_at,
       read_at, let_through)
    with recursive
      bounds(first_end, last_end) as (values ${sql.join(bounds)}),
      ends(interval_end, last_end) as (
        select first_end, last_end from bounds
        union all
        select interval_end + ${step}, last_end from ends where interval_end + ${step} <= last_end
      )
    select
      ${entry.group}, interval_end, ${entry.runId}, ${entry.fingerprint}, ${entry.fingerprint},
      ${integer(entry.sequenceNumber)}, ${entry.snapshotId}, ${integer(entry.publishedAt)}, ${integer(entry.readAt)},
      ${integer(entry.letThrough ? 1 : 0)}
    from ends where true
    on conflict (group_id, interval_end) do update set
      run_id = excluded.run_id,
      fingerprint = excluded.fingerprint,
      computed_fingerprint = ${computed},
      sequence_number = excluded.sequence_number,
      snapshot_id = excluded.snapshot_id,
      published_at = excluded.published_at,
      read_at = ${readAt},
      let_through = excluded.let_through
    where excluded.sequence_number > asof_intervals.sequence_number`.execute(db)
}
