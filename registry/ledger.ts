/**
 * The interval ledger. A range is written as one statement that counts through its intervals inside the database, so
 * that ten years of hours cost two parameters and no round trips, and a run's record is there whole or not at all.
 */
import { sql, type Kysely } from 'kysely'
import { InputError } from '../model/errors.ts'
import { formatDuration, formatInstant, type IntervalRange } from '../model/time.ts'
import type { LedgerEntry, Registry } from './registry.ts'
import { readInteger, readNullableInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type LedgerMemory = Pick<Registry, 'recordPublished' | 'published' | 'ledgerSummary' | 'publishedRunIds'>

/** Two parameters a range; SQLite takes 32,766 in a statement. */
const rangesPerStatement = 10_000

export function ledgerMemory(db: Kysely<RegistryTables>): LedgerMemory {
  return {
    recordPublished: (entry) => recordPublished(db, entry),
    published: async (group, range) => {
      const rows = await db
        .selectFrom('asof_intervals')
        .select(['interval_end', 'run_id', 'fingerprint', 'sequence_number'])
        .where('group_id', '=', group)
        .where('interval_end', '>', range.from)
        .where('interval_end', '<=', range.to)
        .orderBy('interval_end')
        .execute()
      return rows.map((row) => ({
        end: readInteger(row.interval_end, 'asof_intervals.interval_end'),
        runId: row.run_id,
        fingerprint: row.fingerprint,
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
  }
}

async function recordPublished(db: Kysely<RegistryTables>, entry: LedgerEntry): Promise<void> {
  for (const range of entry.ranges) checkRange(range, entry)
  if (entry.ranges.length <= rangesPerStatement) return writeRanges(db, entry, entry.ranges)
  await db.transaction().execute(async (transaction) => {
    for (let at = 0; at < entry.ranges.length; at += rangesPerStatement) {
      await writeRanges(transaction, entry, entry.ranges.slice(at, at + rangesPerStatement))
    }
  })
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
): Promise<void> {
  if (ranges.length === 0) return
  const integer = (value: number) => sql`cast(${value} as bigint)`
  const step = integer(entry.cadenceMs)
  const bounds = ranges.map(({ from, to }) => sql`(${integer(from + entry.cadenceMs)}, ${integer(to)})`)
  // `where true` keeps SQLite from reading `on conflict` as the condition of a join.
  await sql`
    insert into asof_intervals
      (group_id, interval_end, run_id, fingerprint, sequence_number, snapshot_id, published_at)
    with recursive
      bounds(first_end, last_end) as (values ${sql.join(bounds)}),
      ends(interval_end, last_end) as (
        select first_end, last_end from bounds
        union all
        select interval_end + ${step}, last_end from ends where interval_end + ${step} <= last_end
      )
    select
      ${entry.group}, interval_end, ${entry.runId}, ${entry.fingerprint},
      ${integer(entry.sequenceNumber)}, ${entry.snapshotId}, ${integer(entry.publishedAt)}
    from ends where true
    on conflict (group_id, interval_end) do update set
      run_id = excluded.run_id,
      fingerprint = excluded.fingerprint,
      sequence_number = excluded.sequence_number,
      snapshot_id = excluded.snapshot_id,
      published_at = excluded.published_at
    where excluded.sequence_number > asof_intervals.sequence_number`.execute(db)
}
