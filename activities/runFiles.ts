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
import { intervalEnds, rangesOf, type EpochMs, type IntervalRange } from '../model/index.ts'
import type { PinnedColumns, SourceFile } from '../offline/index.ts'
import type { FeatureFingerprints } from '../registry/index.ts'

/** What a chunk makes of the rows that it computes. */
export type ChunkWork =
  /** History: they take the place of what is there. */
  | { readonly kind: 'rows' }
  /** These features of them go into the rows that are there. */
  | { readonly kind: 'fill'; readonly features: readonly string[] }
  /** Live: those that differ from the newest version that is there are added as later versions. */
  | { readonly kind: 'versions' }

/** One pass over the sources. */
export interface PlannedChunk extends IntervalRange {
  readonly work: ChunkWork
  /** The intervals that it is about, where those are not all. */
  readonly only?: readonly IntervalRange[]
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
  /** What is computed or filled. History replaces it in the table; a live run adds what never was published. */
  readonly ranges: readonly IntervalRange[]
  /** Whose rows are there and only gain features (rule 6, fill). */
  readonly filled: readonly IntervalRange[]
  /** Published intervals that a live run reads again, for events that came late. */
  readonly reread: readonly IntervalRange[]
  /** When the plan looked at the sources, on the store's clock. */
  readonly readAt: EpochMs
  /** The created timestamp of all rows of a live run; null for history (rule 6). */
  readonly knownFrom: EpochMs | null
  /** The first interval that the group did not leave to history; null before its first refresh. */
  readonly liveFrom: EpochMs | null
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
  /** Published intervals that were read again, and those of them whose rows got later versions. */
  readonly reread: readonly IntervalRange[]
  readonly corrected: readonly IntervalRange[]
  /** Whether rows may see events that had not arrived when they were due: a source does not say when they did. */
  readonly hindsight: boolean
  readonly readAt: EpochMs
  /** The created timestamp of all its rows; null for history, whose created timestamps stand alone (rule 5). */
  readonly knownFrom: EpochMs | null
  readonly liveFrom: EpochMs | null
  /** The online stores whose first load of it counts for when its rows are known (rule 5); none where it is not served. */
  readonly onlineStores: readonly string[]
}

export interface ChunkFile {
  /** Rows that the chunk brings; of a live run those that are new or have changed. */
  readonly rows: number
  /** Published rows of intervals that were read again, for which nothing is computed any more. They stay. */
  readonly vanished: number
  /** Published intervals of which rows have changed. */
  readonly corrected: readonly IntervalRange[]
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

/** What the chunks of a plan brought, as far as their files are there. */
export async function chunkFilesOf(fileIO: FileIO, plan: RunPlan, planPath: string): Promise<ChunkFile[]> {
  const paths = plan.chunks.map((_, chunk) => chunkPathOf(planPath, chunk))
  const files = await Promise.all(
    paths.map(async (path) =>
      (await fileIO.exists(path)) ? [await readJsonFile<ChunkFile>(fileIO, path)] : [],
    ),
  )
  return files.flat()
}

/** The intervals that a run writes to: those that it computes, and those read again of which rows have changed. */
export function broughtBy({ ranges, cadenceMs }: RunPlan, chunks: readonly ChunkFile[]): IntervalRange[] {
  const all = [...ranges, ...chunks.flatMap(({ corrected }) => corrected)]
  const ends = all.flatMap((range) => [...intervalEnds(range, cadenceMs)])
  return rangesOf(
    ends.sort((left, right) => left - right),
    cadenceMs,
  )
}
