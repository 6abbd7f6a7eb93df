/**
 * The registry's contract: definitions, runs, the ledger of published intervals, gate reports, the store's clock.
 *
 * The ledger is the only watermark: an interval is published when it stands there, under the fingerprint that its rows
 * were computed with. Everything in it follows from ledger files beside the tables, so a lost row heals.
 */
import type { EpochMs, GateReport, IntervalRange } from '../model/index.ts'

export interface RegisteredGroup {
  readonly id: string
  readonly fingerprint: string
  /** The definition as plain data. */
  readonly definition: unknown
  /** The bound schema: keys and features with their types. */
  readonly keys: readonly { name: string; type: string }[]
  readonly features: readonly { name: string; type: string }[]
  readonly registeredAt: EpochMs
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

export interface LedgerEntry {
  readonly group: string
  readonly runId: string
  readonly fingerprint: string
  /** Which intervals the run published. */
  readonly ranges: readonly IntervalRange[]
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
  readonly sequenceNumber: number
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
  services(): Promise<{ name: string; definition: unknown }[]>
  registerService(name: string, definition: unknown, at: EpochMs): Promise<void>

  openRun(run: Omit<Run, 'status' | 'endedAt' | 'rows' | 'snapshotId' | 'reason'>): Promise<void>
  updateRun(
    runId: string,
    change: Partial<Pick<Run, 'status' | 'endedAt' | 'rows' | 'snapshotId' | 'reason' | 'intervals'>>,
  ): Promise<void>
  run(runId: string): Promise<Run | null>
  runs(filter?: { group?: string; limit?: number }): Promise<Run[]>

  saveGateReports(runId: string, reports: readonly GateReport[], at: EpochMs): Promise<void>
  gateReports(runId: string): Promise<GateReport[]>
  /** Notes who let a blocked run through, and why. */
  saveOverride(runId: string, by: { name: string; reason: string }, at: EpochMs): Promise<void>

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
