/** Runs: what was asked, how it went. */
import type { Insertable, Kysely, Selectable, Updateable } from 'kysely'
import { InputError } from '../model/errors.ts'
import type { IntervalRange } from '../model/time.ts'
import type { Registry, Run } from './registry.ts'
import { readInteger, readJson, readNullableInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type RunMemory = Pick<Registry, 'openRun' | 'updateRun' | 'holdRun' | 'heldIntervals' | 'run' | 'runs'>
type RunRow = RegistryTables['asof_runs']
const defaultLimit = 100

export function runMemory(db: Kysely<RegistryTables>): RunMemory {
  return {
    openRun: async (run) => {
      const { started_at, ...again } = openedRow(run)
      await db
        .insertInto('asof_runs')
        .values({ started_at, ...again })
        .onConflict((conflict) => conflict.column('run_id').doUpdateSet(again))
        .execute()
    },
    updateRun: async (runId, change) => {
      const changed = changedColumns(change)
      // An update of nothing is no SQL; setting the id to itself still tells whether the run is there.
      const update = db
        .updateTable('asof_runs')
        .set({ run_id: runId, ...changed })
        .where('run_id', '=', runId)
      const { numUpdatedRows } = await update.executeTakeFirst()
      if (numUpdatedRows !== 1n) {
        throw new InputError(`run ${runId} is not in the registry. Open it before it is updated.`, { runId })
      }
    },
    holdRun: async (runId, workflowId, held) => {
      await db
        .updateTable('asof_runs')
        .set({ status: 'waiting', workflow_id: workflowId, held: JSON.stringify(held) })
        .where('run_id', '=', runId)
        .where('ended_at', 'is', null)
        .execute()
    },
    heldIntervals: async (group, exceptRunId) => {
      const rows = await db
        .selectFrom('asof_runs')
        .select('held')
        .where('group_id', '=', group)
        .where('run_id', '<>', exceptRunId)
        .where('status', '=', 'waiting')
        .execute()
      return rows.flatMap(({ held }) =>
        held === null ? [] : (readJson(held, 'asof_runs.held') as IntervalRange[]),
      )
    },
    run: async (runId) => {
      const row = await db.selectFrom('asof_runs').selectAll().where('run_id', '=', runId).executeTakeFirst()
      return row ? runOf(row) : null
    },
    runs: async ({ group, statuses, limit = defaultLimit } = {}) => {
      let newestFirst = db
        .selectFrom('asof_runs')
        .selectAll()
        .orderBy('started_at', 'desc')
        .orderBy('run_id')
        .limit(limit)
      if (group !== undefined) newestFirst = newestFirst.where('group_id', '=', group)
      if (statuses !== undefined) newestFirst = newestFirst.where('status', 'in', statuses)
      return (await newestFirst.execute()).map(runOf)
    },
  }
}

/** A run that is opened again (its plan was retried) starts afresh, but keeps when it first began. */
function openedRow(run: Parameters<Registry['openRun']>[0]): Insertable<RunRow> {
  return {
    run_id: run.runId,
    workflow_id: run.workflowId,
    group_id: run.group,
    mode: run.mode,
    range_from: run.range.from,
    range_to: run.range.to,
    fingerprint: run.fingerprint,
    status: 'running',
    intervals: run.intervals,
    started_at: run.startedAt,
    ended_at: null,
    row_count: null,
    snapshot_id: null,
    reason: null,
    held: null,
  }
}

function changedColumns(change: Parameters<Registry['updateRun']>[1]): Updateable<RunRow> {
  const { status, endedAt, rows, snapshotId, reason, intervals, workflowId } = change
  const columns = {
    ...{ status, ended_at: endedAt, row_count: rows, snapshot_id: snapshotId, reason, intervals },
    workflow_id: workflowId,
  }
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined))
}

function runOf(row: Selectable<RunRow>): Run {
  return {
    runId: row.run_id,
    workflowId: row.workflow_id,
    group: row.group_id,
    mode: row.mode as Run['mode'],
    range: {
      from: readInteger(row.range_from, 'asof_runs.range_from'),
      to: readInteger(row.range_to, 'asof_runs.range_to'),
    },
    fingerprint: row.fingerprint,
    status: row.status as Run['status'],
    intervals: readInteger(row.intervals, 'asof_runs.intervals'),
    startedAt: readInteger(row.started_at, 'asof_runs.started_at'),
    endedAt: readNullableInteger(row.ended_at, 'asof_runs.ended_at'),
    rows: readNullableInteger(row.row_count, 'asof_runs.row_count'),
    snapshotId: row.snapshot_id,
    reason: row.reason,
  }
}
