/**
 * A run's files beside its table. Temporal carries their paths, never what is in them.
 *
 * ```
 * <table>/runs/<run>/<plan>/plan.json        what the run computes, and from which source files
 * <table>/runs/<run>/<plan>/chunk-00007.json the data files of one computed chunk: its existence says "done"
 * <table>/data/<run>/<plan>/<attempt>/…      the data files; a failed attempt's are swept when the run closes
 * <table>/ledger/<run>-<plan>.json           intervals, fingerprint and run, written before the commit; kept for ever
 * <table>/loads/<run>.<online store>.json    when the run's rows were first loaded; written once, kept for ever
 * ```
 */
import { FileExists, parseJson, stringifyJson, type DataFileJson, type FileIO } from '../iceberg/index.ts'
import type { IntervalRange } from '../model/index.ts'
import type { PinnedColumns, SourceFile } from '../offline/index.ts'
import type { FeatureFingerprints } from '../registry/index.ts'

/** One pass over the sources. */
export interface PlannedChunk extends IntervalRange {
  /** Features that are computed into the rows which are there; null where whole rows are computed. */
  readonly fills: readonly string[] | null
}

export interface RunPlan {
  readonly runId: string
  /** One run plans again after a `retry` or when it was overtaken; each plan has files of its own. */
  readonly planId: string
  readonly group: string
  readonly fingerprint: string
  readonly features: FeatureFingerprints
  readonly cadenceMs: number
  readonly chunks: readonly PlannedChunk[]
  /** What is computed or filled, and replaced in the table. */
  readonly ranges: readonly IntervalRange[]
  /** Whose rows are there and only gain features (rule 6, fill). */
  readonly filled: readonly IntervalRange[]
  /** The files that the plan saw; one that changes under the run fails it. */
  readonly sourceFiles: readonly SourceFile[]
  /** The columns of all sources as the plan found them, for every chunk to take them the same way. */
  readonly sourceColumns: PinnedColumns
  /** Whether a row may see events that had not arrived when it was due: a source does not say when they did (rule 6). */
  readonly hindsight: boolean
  /** Runs whose intervals this plan knowingly replaces; any other run's make it overtaken. */
  readonly replaces: readonly string[]
}

export interface LedgerFile {
  readonly runId: string
  readonly group: string
  readonly fingerprint: string
  readonly features: FeatureFingerprints
  readonly cadenceMs: number
  /** Intervals whose rows the run computed. */
  readonly ranges: readonly IntervalRange[]
  /** Intervals whose rows were there already and gained features. */
  readonly filled: readonly IntervalRange[]
  /** Whether rows may see events that had not arrived when they were due: a source does not say when they did. */
  readonly hindsight: boolean
}

export interface ChunkFile {
  readonly rows: number
  /** Rows that were there, for which nothing is computed any more: what was to be filled in stays null. */
  readonly unfilled: number
  readonly bytes: number
  readonly files: readonly DataFileJson[]
}

/** Keys of a staged snapshot's summary. */
export const summaryKeys = { run: 'asof.run-id', plan: 'asof.plan-id', ledger: 'asof.ledger' } as const

export const branchOf = (runId: string) => `run-${runId}`
export const runFolder = (tableLocation: string, runId: string) => `${tableLocation}/runs/${runId}`
export const dataFolder = (tableLocation: string, runId: string) => `${tableLocation}/data/${runId}`
export const planPathOf = (tableLocation: string, runId: string, planId: string) =>
  `${runFolder(tableLocation, runId)}/${planId}/plan.json`
export const chunkPathOf = (planPath: string, chunk: number) =>
  planPath.replace(/plan\.json$/, `chunk-${String(chunk).padStart(5, '0')}.json`)
export const ledgerPathOf = (tableLocation: string, { runId, planId }: RunPlan) =>
  `${ledgerPrefixOf(tableLocation, runId)}${planId}.json`
/** Ledger files of a run's plans begin with this. */
export const ledgerPrefixOf = (tableLocation: string, runId: string) => `${tableLocation}/ledger/${runId}-`
export const loadPathOf = (tableLocation: string, runId: string, store: string) =>
  `${tableLocation}/loads/${runId}.${store}.json`

/** Writes a file that never changes; one that is there already stays. Returns whether this call wrote it. */
export async function writeOnce(fileIO: FileIO, location: string, value: unknown): Promise<boolean> {
  try {
    await fileIO.writeExclusive(location, new TextEncoder().encode(stringifyJson(value)))
    return true
  } catch (error) {
    if (error instanceof FileExists) return false
    throw error
  }
}

export async function readJsonFile<T>(fileIO: FileIO, location: string): Promise<T> {
  return parseJson(new TextDecoder().decode(await fileIO.read(location))) as T
}

/** The run that a ledger file is of; null for a file that no run wrote. */
export const runOfLedger = (location: string): string | null =>
  /\/ledger\/([^/]+)-[^/-]+\.json$/.exec(location)?.[1] ?? null

/** Deletes the ledger files of a run's plans, except the published one's. Returns how many. */
export async function deleteLedgers(
  fileIO: FileIO,
  tableLocation: string,
  runId: string,
  published?: string,
): Promise<number> {
  let deleted = 0
  for await (const location of fileIO.list(`${tableLocation}/ledger`)) {
    const isOwn = location.startsWith(ledgerPrefixOf(tableLocation, runId))
    if (!isOwn || location === published) continue
    await fileIO.delete(location)
    deleted += 1
  }
  return deleted
}

/** Deletes everything below a folder, except what is to be kept. Returns how many files. */
export async function deleteBelow(
  fileIO: FileIO,
  folder: string,
  keeps: (location: string) => boolean = () => false,
): Promise<number> {
  let deleted = 0
  for await (const location of fileIO.list(folder)) {
    if (keeps(location)) continue
    await fileIO.delete(location)
    deleted += 1
  }
  return deleted
}
