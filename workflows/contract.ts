/**
 * The activity contract: what workflows ask for. The workflow room owns it, `activities/` implements it.
 *
 * One object in, one object out, all references and counts: a run's plan is a file beside the table and Temporal
 * carries its path, so that ten years of hourly intervals fit into every payload. Instants are ISO strings in UTC.
 */
import type { TrainingRequest } from '../model/training.ts'

/** What a person types into the Temporal UI. */
export interface BackfillInput {
  /** Id of a registered feature group, such as `airport_delays_v1`. */
  group: string
  /** Exclusive start: a day such as `2001-01-08` (midnight UTC) or an instant with its zone. */
  from: string
  /** Inclusive end, written the same way. */
  to: string
  /** Compute all intervals of the range again, not only those that are missing. */
  rewrite?: boolean
}

/** What a person types into the Temporal UI, or a schedule sends. */
export interface RefreshInput {
  /** Id of a registered feature group. The first refresh makes it live. */
  group: string
}

/** Names a run in every activity. */
export interface RunRef {
  runId: string
  group: string
  /** Where the plan lies. */
  planPath: string
}

export interface PlannedRun extends RunRef {
  table: string
  fingerprint: string
  /** Intervals that the run computes; 0 means that none is missing. */
  intervals: number
  /** Published intervals that a refresh reads again for late events. */
  reread: number
  /** Intervals of the asked range that are published already and stay as they are. */
  alreadyPublished: number
  /** Intervals of the asked range that were missed since the group went live: a run of their own, after this one. */
  leftForLive: number
  /** Due intervals that a refresh leaves to a run that a gate holds. */
  held: number
  /** Due intervals that a refresh cannot compute: the sources no longer have all their events. */
  incomplete: number
  chunks: number
  sourceFiles: number
  sourceBytes: number
  from: string
  to: string
  /** Whether the group's values are served. */
  online: boolean
}

export interface ComputedChunk {
  rows: number
  /** Published rows that a refresh did not find any more. */
  vanished: number
  files: number
  bytes: number
}

export interface StagedRun {
  branch: string
  /** Snapshot ids do not fit a JavaScript number: decimal text everywhere. */
  snapshotId: string
  /** `main` when the branch was cut; null when the table had none. */
  baseSnapshotId: string | null
  rows: number
  files: number
}

export interface GateOutcome {
  name: string
  verdict: 'pass' | 'warn' | 'block'
  sentence: string
}

export interface Judgement {
  verdict: 'pass' | 'warn' | 'block'
  gates: GateOutcome[]
}

export interface Override {
  name: string
  reason: string
}

export interface PublishedRun {
  snapshotId: string
  sequenceNumber: number
  publishedAt: string
}

export interface MaterializeInput {
  group: string
  /** Load every entity's value again, not only those touched since the last load. */
  full?: boolean
}

export interface MaterializedGroup {
  snapshotId: string | null
  entities: number
  tombstones: number
  /** Entities looked at: those touched since the last complete load, or all. */
  considered: number
}

export interface JanitorInput {
  /** One group in place of all. */
  group?: string
  /** How old what nothing refers to must be, such as `6h`; a day unless given. No commit may take that long. */
  olderThan?: string
}

/** What the janitor did in one group. */
export interface SweptGroup {
  group: string
  /** Runs that were ended because their workflow was not open any more. */
  runs: number
  branches: number
  /** Tags that had become older than they allow. */
  tags: number
  snapshots: number
  files: number
}

/** What the janitor did among the training sets. */
export interface SweptTraining {
  /** Sets that are said to have failed because the workflow that built them was not open any more. */
  failed: number
  /** Unfinished sets of which the registry does not know, whose files were deleted. */
  sets: number
  /** Those and kept labels that no set refers to. */
  files: number
}

/** What a person asks a training set for; any JSON object, which `planTraining` checks (`model/training.ts`). */
export type TrainingInput = TrainingRequest

export interface PlannedTraining {
  /** `<name>_<hash of everything that its content depends on>` */
  id: string
  name: string
  planPath: string
  /** Where the set's own files are. */
  folder: string
  /** `building`: another workflow builds it already, the one that is named. */
  state: 'mine' | 'building' | 'finished'
  workflowId: string
  labels: number
  /** Ranges of labels that are built one by one, on any worker. */
  parts: number
  /** Columns of features, computed ones included. */
  columns: number
  groups: {
    group: string
    /** The role in which it is used, or the group's id. */
    name: string
    snapshotId: string | null
    /** In the labels' range, due and never published. */
    missingIntervals: number
    /** Features that intervals of the range have as another definition computed them. */
    mixedFeatures: string[]
  }[]
}

export interface FinishedTraining {
  id: string
  rows: number
  /** Of all values in their order; it does not depend on how files are written. */
  contentHash: string
  manifestPath: string
  /** The share of labels that found a row, by group. */
  groups: { name: string; group: string; matchRate: number | null }[]
}

export interface Activities {
  /** Reads definitions, registry and ledger; decides what to compute; writes the plan file; opens the run. */
  planBackfill(
    input: BackfillInput & {
      runId: string
      workflowId: string
      /** Only what was missed since the group went live; without it history goes first. */
      side?: 'live'
    },
  ): Promise<PlannedRun>
  /** The same for a refresh. `again`: the plan of this run whose intervals it is about, where it plans once more. */
  planRefresh(
    input: RefreshInput & { runId: string; workflowId: string; again?: string },
  ): Promise<PlannedRun>
  /** Computes one chunk of intervals into Parquet under the run's own prefix. A chunk that is there is not computed again. */
  computeChunk(input: RunRef & { chunk: number }): Promise<ComputedChunk>
  /** Cuts the run's branch from `main` and commits all chunks to it. Fails with `Overtaken` where another run has published intervals of this one. */
  stageRun(input: RunRef): Promise<StagedRun>
  /** Runs the gates over the staged rows. */
  judgeRun(input: RunRef & { staged: StagedRun }): Promise<Judgement>
  /** Moves `main` to the judged snapshot, in one commit. Fails with `ConflictError` where `main` or the branch has moved. */
  publishRun(input: RunRef & { staged: StagedRun; override?: Override }): Promise<PublishedRun>
  /** Loads the winners of the published table into the online store. */
  materializeGroup(input: MaterializeInput): Promise<MaterializedGroup>
  /** Closes the run in the registry. */
  recordRun(
    input: RunRef & { outcome: 'published' | 'nothing_to_do'; published?: PublishedRun },
  ): Promise<void>
  /** Takes everything back that is not published: branch, staged files, and says so in the registry. Idempotent. */
  abandonRun(input: {
    runId: string
    group: string
    outcome: 'aborted' | 'failed' | 'cancelled'
    reason: string
  }): Promise<void>
  /** Says in the registry that a gate holds the run, and which workflow waits for the decision. */
  parkRun(input: RunRef & { workflowId: string }): Promise<void>
  /** The registered groups, or the asked one. */
  listGroups(input: { group?: string; olderThan: string }): Promise<string[]>
  /** Takes back the runs of a group whose workflow is not open any more; closes those that are published. */
  takeBackLostRuns(input: { group: string }): Promise<{ runs: number }>
  /** Sweeps branches and files that belong to no open run and no published snapshot, expired tags, and snapshots that nothing leads to. */
  sweepTable(input: { group: string; olderThan: string }): Promise<
    Omit<SweptGroup, 'group' | 'runs' | 'tags'> & {
      /** Not in histories from before tags were expired. */
      tags?: number
    }
  >
  /** Ends training sets whose workflow is not open any more; sweeps labels and parts that no set has any use for. */
  sweepTraining(input: { olderThan: string }): Promise<SweptTraining>
  /** Reads and keeps the labels, pins the tables, and claims the set that all of it names. */
  planTraining(input: { request: TrainingInput; workflowId: string; runId: string }): Promise<PlannedTraining>
  /** Joins one range of labels against all groups. A part that is there is not built again. */
  buildTrainingPart(input: { planPath: string; part: number }): Promise<{ rows: number; matched: number[] }>
  /** Writes the manifest and records the set. */
  finishTraining(input: { planPath: string }): Promise<FinishedTraining>
  /** Says that the set was not built. */
  failTraining(input: { id: string; runId: string; reason: string }): Promise<void>
  /** How far the set is that another workflow builds. */
  trainingState(input: { id: string }): Promise<{
    state: 'finished' | 'building' | 'nobody'
    result: FinishedTraining | null
  }>
}
