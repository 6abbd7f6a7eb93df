/** Training sets: one row each, claimed by the workflow that builds it, so that of two at once one does. */
import type { Kysely, Selectable } from 'kysely'
import { InputError } from '../model/errors.ts'
import type { FeatureUse, Registry, TrainingSet } from './registry.ts'
import { readInteger, readNullableInteger } from './stored.ts'
import type { RegistryTables } from './tables.ts'

type TrainingMemory = Pick<
  Registry,
  | 'claimTrainingSet'
  | 'endTrainingSet'
  | 'forgetTrainingSet'
  | 'trainingSet'
  | 'trainingSets'
  | 'recordUsage'
  | 'usage'
>

export function trainingMemory(db: Kysely<RegistryTables>): TrainingMemory {
  const find = async (id: string): Promise<TrainingSet | null> => {
    const row = await db.selectFrom('asof_training_sets').selectAll().where('id', '=', id).executeTakeFirst()
    return row === undefined ? null : setOf(row)
  }
  return {
    claimTrainingSet: async (claim, instead) => {
      const { id, name, planPath, startedAt, workflowId, runId } = claim
      const mine = { workflow_id: workflowId, run_id: runId, started_at: startedAt }
      const opened = { ...mine, ended_at: null, reason: null, status: 'building', plan_path: planPath }
      await db
        .insertInto('asof_training_sets')
        .values({ id, name, manifest_path: null, content_hash: null, row_count: null, ...opened })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute()
      if (instead !== undefined) {
        await db
          .updateTable('asof_training_sets')
          .set(opened)
          .where('id', '=', id)
          .where('workflow_id', '=', instead.workflowId)
          .where('run_id', '=', instead.runId)
          .where('status', '=', instead.status)
          .execute()
      }
      const found = await find(id)
      if (found === null) throw new InputError(`training set ${id} was dropped just now. Ask for it again.`)
      return found
    },
    endTrainingSet: async (id, end) => {
      await db
        .updateTable('asof_training_sets')
        .set({
          status: end.status,
          ended_at: end.endedAt,
          reason: end.reason ?? null,
          ...(end.status === 'finished'
            ? { manifest_path: end.manifestPath, content_hash: end.contentHash, row_count: end.rows }
            : {}),
        })
        .where('id', '=', id)
        // What is finished stays so, whatever a late attempt says.
        .where('status', '<>', 'finished')
        .execute()
    },
    forgetTrainingSet: async (id) => {
      await db.deleteFrom('asof_training_sets').where('id', '=', id).execute()
      await db.deleteFrom('asof_feature_usage').where('training_set', '=', id).execute()
    },
    trainingSet: find,
    trainingSets: async () => {
      const rows = await db
        .selectFrom('asof_training_sets')
        .selectAll()
        .orderBy('started_at', 'desc')
        .orderBy('id')
        .execute()
      return rows.map(setOf)
    },
    recordUsage: async (uses) => {
      if (uses.length === 0) return
      await db
        .insertInto('asof_feature_usage')
        .values(
          uses.map(({ model, group, feature, trainingSet, usedAt }) => ({
            ...{ model, group_id: group, feature, training_set: trainingSet },
            used_at: usedAt,
          })),
        )
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    },
    usage: async (group) => {
      const rows = await db
        .selectFrom('asof_feature_usage')
        .selectAll()
        .where('group_id', '=', group)
        .orderBy('feature')
        .orderBy('model')
        .orderBy('used_at')
        .execute()
      return rows.map((row): FeatureUse => ({
        ...{ model: row.model, group: row.group_id, feature: row.feature, trainingSet: row.training_set },
        usedAt: readInteger(row.used_at, 'asof_feature_usage.used_at'),
      }))
    },
  }
}

function setOf(row: Selectable<RegistryTables['asof_training_sets']>): TrainingSet {
  return {
    id: row.id,
    name: row.name,
    workflowId: row.workflow_id,
    runId: row.run_id,
    status: row.status as TrainingSet['status'],
    planPath: row.plan_path,
    manifestPath: row.manifest_path,
    contentHash: row.content_hash,
    rows: readNullableInteger(row.row_count, 'asof_training_sets.row_count'),
    reason: row.reason,
    startedAt: readInteger(row.started_at, 'asof_training_sets.started_at'),
    endedAt: readNullableInteger(row.ended_at, 'asof_training_sets.ended_at'),
  }
}
