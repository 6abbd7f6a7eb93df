/**
 * The registry's contract: definitions, runs, the ledger of published intervals, gate reports, the store's clock.
 *
 * The ledger is the only watermark: an interval is published when it stands there, under the fingerprint that its rows
 * were computed with. Everything in it follows from ledger files beside the tables, so a lost row heals.
 */
import type { EpochMs, GateReport, IntervalRange } from '../model/index.ts'

/** Fingerprints by name of feature. */
export type FeatureFingerprints = Readonly<Record<string, string>>

export interface RegisteredGroup {
  readonly id: string
  readonly fingerprint: string
  /** The definition as plain data. */
  readonly definition: unknown
  /** The bound schema: keys and features with their types. */
  readonly keys: readonly { name: string; type: string }[]
  readonly features: readonly { name: string; type: string }[]
  readonly featureFingerprints: FeatureFingerprints
  readonly registeredAt: EpochMs
  /** Since when nothing computes the group any more; null while it is in use. */
  readonly retiredAt: EpochMs | null
  /** Counts changes of this row: the optimistic lock of `registerGroup`. */
  readonly revision: number
}

export type RunStatus =
  'running' | 'waiting' | 'published' | 'nothing_to_do' | 'aborted' | 'failed' | 'cancelled'

export interface Run {
  readonly runId: string
  readonly workflowId: string
  readonly group: string
  readonly mode: 'backfill' | 'rewrite'
  readonly range: IntervalRange
  readonly fingerprint: string
  readonly status: RunStatus
  readonly intervals: number
  readonly startedAt: EpochMs
  readonly endedAt: EpochMs | null
  readonly rows: number | null
  readonly snapshotId: string | null
  readonly reason: string | null
}

export interface RunOverride {
  readonly name: string
  readonly reason: string
  readonly decidedAt: EpochMs
}

export interface LedgerEntry {
  readonly group: string
  readonly runId: string
  readonly fingerprint: string
  /** What `fingerprint` stands for. */
  readonly features: FeatureFingerprints
  /** Which intervals the run computed and published. */
  readonly ranges: readonly IntervalRange[]
  /** Intervals whose rows were there already and only gained features; none of `ranges`. */
  readonly filled: readonly IntervalRange[]
  readonly cadenceMs: number
  readonly snapshotId: string
  /** Decides which of two runs wrote an interval last. */
  readonly sequenceNumber: number
  readonly publishedAt: EpochMs
}

export interface PublishedInterval {
  readonly end: EpochMs
  readonly runId: string
  readonly fingerprint: string
  readonly features: FeatureFingerprints
  /** Features that were computed into rows which were there already. */
  readonly filled: readonly string[]
  readonly sequenceNumber: number
}

export interface RegisteredService {
  readonly name: string
  readonly definition: unknown
  readonly revision: number
}

export interface Registry {
  /** Offset of the store's clock against this machine's, in ms; made with the store, moved forward only. */
  clockOffsetMs(): Promise<number>
  /** Sets the offset of a store that has none yet; one that is there stays. Returns the one that holds. */
  initialiseClock(offsetMs: number): Promise<number>

  groups(): Promise<RegisteredGroup[]>
  group(id: string): Promise<RegisteredGroup | null>
  /** Inserts (`revision` 0) or replaces the revision that was read. @throws ConflictError where it has moved. */
  registerGroup(group: Omit<RegisteredGroup, 'revision'>, readRevision: number): Promise<void>
  /** Notes that nothing computes the group any more. @throws ConflictError as `registerGroup` does. */
  retireGroup(id: string, readRevision: number, at: EpochMs): Promise<void>
  services(): Promise<RegisteredService[]>
  /** Inserts (`revision` 0) or replaces the revision that was read. @throws ConflictError where it has moved. */
  registerService(name: string, definition: unknown, at: EpochMs, readRevision: number): Promise<void>
  /** Forgets a service that is needed no more. @throws ConflictError where it has moved. */
  removeService(name: string, readRevision: number): Promise<void>

  openRun(run: Omit<Run, 'status' | 'endedAt' | 'rows' | 'snapshotId' | 'reason'>): Promise<void>
  updateRun(
    runId: string,
    change: Partial<Pick<Run, 'status' | 'endedAt' | 'rows' | 'snapshotId' | 'reason' | 'intervals'>>,
  ): Promise<void>
  run(runId: string): Promise<Run | null>
  /** Newest first, a hundred unless asked otherwise. */
  runs(filter?: { group?: string; statuses?: readonly RunStatus[]; limit?: number }): Promise<Run[]>

  saveGateReports(runId: string, reports: readonly GateReport[], at: EpochMs): Promise<void>
  gateReports(runId: string): Promise<GateReport[]>
  /** Notes who let a blocked run through, and why. */
  saveOverride(runId: string, by: { name: string; reason: string }, at: EpochMs): Promise<void>
  /** Who let the run through, oldest first: a run may be judged again on a newer table. */
  overrides(runId: string): Promise<RunOverride[]>

  /** Idempotent; of two entries for one interval the greater sequence number stays. */
  recordPublished(entry: LedgerEntry): Promise<void>
  /** Published intervals with `range.from < end <= range.to`, ascending. */
  published(group: string, range: IntervalRange): Promise<PublishedInterval[]>
  /** Counts and bounds over the whole ledger of a group. */
  ledgerSummary(group: string): Promise<{ intervals: number; first: EpochMs | null; last: EpochMs | null }>
  /** Run ids that stand in the ledger. */
  publishedRunIds(group: string): Promise<Set<string>>

  close(): Promise<void>
}
