/**
 * The registry's contract: definitions, runs, the ledger of published intervals, gate reports, the store's clock.
 *
 * The ledger is the only watermark: an interval is published when it stands there, under the fingerprint that its rows
 * were computed with. Everything in it follows from ledger files beside the tables, so a ledger that was lost, or
 * restored from an older copy, heals.
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
  readonly mode: 'backfill' | 'rewrite' | 'refresh'
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
  /** Published intervals that were read again; none of `ranges`. */
  readonly reread: readonly IntervalRange[]
  /** Those of `reread` whose rows got later versions. */
  readonly corrected: readonly IntervalRange[]
  readonly cadenceMs: number
  /** When the sources of `ranges` and `reread` were read, on the store's clock. */
  readonly readAt: EpochMs
  /** The created timestamp of all its rows; null for history, whose rows are known from when their intervals were due. */
  readonly knownFrom: EpochMs | null
  /** The first interval that the group did not leave to history; null before its first refresh. */
  readonly liveFrom: EpochMs | null
  /** Whether a gate blocked and a person published it all the same. */
  readonly letThrough: boolean
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
  /** A person published it although a gate blocked; corrections of it are not judged again. */
  readonly letThrough: boolean
  readonly sequenceNumber: number
}

/** What is known of a group's ledger as a whole. */
export interface LedgerState {
  /** Which making of the table it speaks of: a table that was dropped and made again starts with an empty ledger. */
  readonly incarnation: string
  /** The end of the first interval that the group did not leave to history (rule 6); null before its first refresh. */
  readonly liveFrom: EpochMs | null
  /** Sequence number of the last published snapshot up to which the ledger has all that the table's ledger files say. */
  readonly healedUpTo: number
}

export interface RegisteredService {
  readonly name: string
  readonly definition: unknown
  readonly revision: number
}

export interface TrainingSet {
  /** `<name>_<hash>`: the hash of everything that its content depends on. */
  readonly id: string
  readonly name: string
  /** Who builds it, or has. */
  readonly workflowId: string
  readonly runId: string
  readonly status: 'building' | 'finished' | 'failed'
  readonly planPath: string
  readonly manifestPath: string | null
  readonly contentHash: string | null
  readonly rows: number | null
  readonly reason: string | null
  readonly startedAt: EpochMs
  readonly endedAt: EpochMs | null
}

/** A model that was trained on a feature. */
export interface FeatureUse {
  readonly model: string
  readonly group: string
  readonly feature: string
  readonly trainingSet: string
  readonly usedAt: EpochMs
}

export type TrainingSetEnd = { readonly endedAt: EpochMs; readonly reason?: string } & (
  | { readonly status: 'failed' }
  | {
      readonly status: 'finished'
      readonly manifestPath: string
      readonly contentHash: string
      readonly rows: number
    }
)

export interface Registry {
  /** Offset of the store's clock against this machine's, in ms; 0: it is this machine's. Moves forward only. */
  clockOffsetMs(): Promise<number>
  /** Sets the offset of a store that has none yet; one that is there stays. Returns the one that holds. */
  initialiseClock(offsetMs: number): Promise<number>
  /**
   * Moves a set clock forward, if it still is where it was read; false where somebody else has moved it since.
   *
   * @throws InputError for the machine's clock, and where the offset lies back
   */
  moveClock(readOffsetMs: number, offsetMs: number): Promise<boolean>

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
    change: Partial<
      Pick<Run, 'status' | 'endedAt' | 'rows' | 'snapshotId' | 'reason' | 'intervals' | 'workflowId'>
    >,
  ): Promise<void>
  /** Says that a run waits, under which workflow, and which intervals it keeps others from until it ends. Not of an ended run. */
  holdRun(runId: string, workflowId: string, held: readonly IntervalRange[]): Promise<void>
  /** The intervals that runs of a group hold that wait or waited and have not ended, other than this one. */
  heldIntervals(group: string, exceptRunId: string): Promise<IntervalRange[]>
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
  /** Ends of published intervals whose sources were last read before `end + lateness`, ascending: late events may lack. */
  unsettled(group: string, latenessMs: number): Promise<EpochMs[]>
  /** Notes that intervals were read again and nothing had changed. */
  noteRead(group: string, ranges: readonly IntervalRange[], readAt: EpochMs): Promise<void>
  /** Forgets what it has of an earlier incarnation of the group's table. */
  openLedger(group: string, incarnation: string): Promise<LedgerState>
  /** Null where nothing was ever published or refreshed. */
  ledgerState(group: string): Promise<LedgerState | null>
  /** The group goes live with this interval, unless it is live already. Returns the first interval that is. */
  goLive(group: string, end: EpochMs): Promise<EpochMs>
  /** A created timestamp for a computation: now, or just after the one before it where that is not later. */
  nextCreated(group: string, nowMs: EpochMs): Promise<EpochMs>
  /** Runs that wrote an interval last. */
  publishedRunIds(group: string): Promise<Set<string>>
  /** Notes that the ledger has everything up to this sequence number. */
  noteHealed(group: string, sequenceNumber: number): Promise<void>

  /**
   * Says who builds a training set. One that is there already stays as it is, unless it still is `instead`, whose workflow is
   * gone: then the claim takes its place. Returns the set as it is now.
   */
  claimTrainingSet(
    claim: Pick<TrainingSet, 'id' | 'name' | 'workflowId' | 'runId' | 'planPath' | 'startedAt'>,
    instead?: TrainingSet,
  ): Promise<TrainingSet>
  /** What is finished stays so. */
  endTrainingSet(id: string, end: TrainingSetEnd): Promise<void>
  /** Forgets a set and that anybody used it. */
  forgetTrainingSet(id: string): Promise<void>
  trainingSet(id: string): Promise<TrainingSet | null>
  /** Newest first. */
  trainingSets(): Promise<TrainingSet[]>
  recordUsage(uses: readonly FeatureUse[]): Promise<void>
  /** Which models were trained on a group's features, by feature. */
  usage(group: string): Promise<FeatureUse[]>

  close(): Promise<void>
}
