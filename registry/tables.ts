/**
 * The registry's tables, as kysely sees them. They share a database with Iceberg's catalog, hence the prefix.
 *
 * Instants are milliseconds since the epoch, JSON is canonical text, snapshot ids are decimal text.
 */
import type { ColumnType } from 'kysely'

/** 64-bit integers come back as number or bigint from libsql and as text from pg; `readInteger` makes them numbers. */
export type StoredInteger = number | bigint | string
type IntegerColumn = ColumnType<StoredInteger, number, number>
type NullableIntegerColumn = ColumnType<StoredInteger | null, number | null, number | null>

export interface RegistryTables {
  asof_store: {
    name: string
    clock_offset_ms: IntegerColumn
  }
  asof_groups: {
    id: string
    fingerprint: string
    definition: string
    keys: string
    features: string
    feature_fingerprints: string
    registered_at: IntegerColumn
    retired_at: NullableIntegerColumn
    revision: IntegerColumn
  }
  asof_services: {
    name: string
    definition: string
    registered_at: IntegerColumn
    revision: IntegerColumn
  }
  asof_runs: {
    run_id: string
    workflow_id: string
    group_id: string
    mode: string
    range_from: IntegerColumn
    range_to: IntegerColumn
    fingerprint: string
    status: string
    intervals: IntegerColumn
    started_at: IntegerColumn
    ended_at: NullableIntegerColumn
    row_count: NullableIntegerColumn
    snapshot_id: string | null
    reason: string | null
    /** JSON of the intervals that a waiting run keeps others from. */
    held: string | null
  }
  asof_intervals: {
    group_id: string
    interval_end: IntegerColumn
    run_id: string
    fingerprint: string
    /** What the rows were first computed as; features beyond it were filled in. */
    computed_fingerprint: string
    sequence_number: IntegerColumn
    snapshot_id: string
    published_at: IntegerColumn
    read_at: IntegerColumn
    /** 1 where a gate blocked and somebody published it all the same. */
    let_through: IntegerColumn
  }
  asof_ledgers: {
    group_id: string
    incarnation: string
    live_from: NullableIntegerColumn
    last_created: IntegerColumn
    healed_up_to: IntegerColumn
  }
  /** The features that stand behind a group's fingerprint. */
  asof_feature_sets: {
    group_id: string
    fingerprint: string
    features: string
  }
  asof_gate_reports: {
    run_id: string
    reports: string
    judged_at: IntegerColumn
  }
  asof_overrides: {
    run_id: string
    name: string
    reason: string
    decided_at: IntegerColumn
  }
  asof_training_sets: {
    id: string
    name: string
    workflow_id: string
    run_id: string
    status: string
    plan_path: string
    manifest_path: string | null
    content_hash: string | null
    row_count: NullableIntegerColumn
    reason: string | null
    started_at: IntegerColumn
    ended_at: NullableIntegerColumn
  }
  asof_feature_usage: {
    model: string
    group_id: string
    feature: string
    training_set: string
    used_at: IntegerColumn
  }
}
