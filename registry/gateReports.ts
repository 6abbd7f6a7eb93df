/** What the gates found about a run, and who let it through all the same. */
import type { Kysely } from 'kysely'
import type { GateReport } from '../model/gate.ts'
import type { Registry } from './registry.ts'
import { readInteger, readJson } from './stored.ts'
import type { RegistryTables } from './tables.ts'

export function gateMemory(
  db: Kysely<RegistryTables>,
): Pick<Registry, 'saveGateReports' | 'gateReports' | 'saveOverride' | 'overrides'> {
  return {
    // One row a run, so a run that is judged again replaces the whole of its first judgement in one statement.
    saveGateReports: async (runId, reports, at) => {
      const row = { reports: JSON.stringify(reports), judged_at: at }
      await db
        .insertInto('asof_gate_reports')
        .values({ run_id: runId, ...row })
        .onConflict((conflict) => conflict.column('run_id').doUpdateSet(row))
        .execute()
    },
    gateReports: async (runId) => {
      const row = await db
        .selectFrom('asof_gate_reports')
        .select('reports')
        .where('run_id', '=', runId)
        .executeTakeFirst()
      return row ? (readJson(row.reports, 'asof_gate_reports.reports') as GateReport[]) : []
    },
    saveOverride: async (runId, { name, reason }, at) => {
      await db
        .insertInto('asof_overrides')
        .values({ run_id: runId, name, reason, decided_at: at })
        .onConflict((conflict) => conflict.columns(['run_id', 'decided_at']).doUpdateSet({ name, reason }))
        .execute()
    },
    overrides: async (runId) => {
      const rows = await db
        .selectFrom('asof_overrides')
        .select(['name', 'reason', 'decided_at'])
        .where('run_id', '=', runId)
        .orderBy('decided_at')
        .execute()
      return rows.map(({ name, reason, decided_at: at }) => ({
        name,
        reason,
        decidedAt: readInteger(at, 'asof_overrides.decided_at'),
      }))
    },
  }
}
