/** Builds one part of a training set: joins a range of the labels against every group, as the plan has pinned them. */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { bucketColumns, planScan, readDataFiles, type Filter, type Table } from '../../iceberg/index.ts'
import { InputError, type FeatureType, type OnDemand } from '../../model/index.ts'
import {
  blockRows,
  buildPart,
  onDemandRows,
  withConnection,
  writeArrow,
  type PartGroup,
  type PartLabels,
  type PartRequest,
  type RowFunction,
} from '../../offline/index.ts'
import { onDemandHash } from '../../registry/index.ts'
import type { Activities } from '../../workflows/contract.ts'
import type { ActivityDeps } from '../deps.ts'
import { incarnationOf } from '../groupTable.ts'
import { withHeartbeat } from '../heartbeat.ts'
import { readJsonFile, writeOnce } from '../runFiles.ts'
import { whatIsIn } from './partContent.ts'
import {
  partFileName,
  partJsonPathOf,
  placeOf,
  timestampColumns,
  unmatchedFileName,
  type PartFile,
  type PlannedSelection,
  type TrainingPlan,
} from './trainingPlan.ts'

export const buildTrainingPart =
  (deps: ActivityDeps): Activities['buildTrainingPart'] =>
  ({ planPath, part }) =>
    withHeartbeat(async (signal) => {
      const jsonPath = partJsonPathOf(planPath, part)
      // An attempt before this one may have come to its end and not been heard.
      const done = await donePart(deps, jsonPath)
      if (done !== null) return countsOf(done)
      const plan = await readJsonFile<TrainingPlan>(deps.fileIO, planPath)
      const place = placeOf(planPath, plan.output)
      const made = await makePart(deps, plan, part, { place, signal })
      await writeOnce(deps.fileIO, jsonPath, made)
      const kept = await readJsonFile<PartFile>(deps.fileIO, jsonPath)
      // Of two attempts at once the second leaves nothing.
      if (kept.file !== made.file) await deleteFiles(deps, made)
      return countsOf(kept)
    })

/** Null where nobody has built it, or where somebody has removed its files since, with their manifest. */
async function donePart({ fileIO }: ActivityDeps, jsonPath: string): Promise<PartFile | null> {
  if (!(await fileIO.exists(jsonPath))) return null
  const part = await readJsonFile<PartFile>(fileIO, jsonPath)
  const isThere = (file: string | null) => file === null || fileIO.exists(file)
  if ((await isThere(part.file)) && (await isThere(part.unmatched))) return part
  await fileIO.delete(jsonPath)
  return null
}

async function deleteFiles(
  { fileIO }: ActivityDeps,
  { file, unmatched }: Pick<PartFile, 'file' | 'unmatched'>,
): Promise<void> {
  await fileIO.delete(file)
  if (unmatched !== null) await fileIO.delete(unmatched)
}

const countsOf = ({ rows, matched }: PartFile) => ({ rows, matched: [...matched] })

interface Attempt {
  /** The folder that it writes to. */
  readonly place: string
  readonly signal?: AbortSignal
}

/** Writes a part's files under names of its own. @throws InputError where a pinned snapshot or function is gone */
export async function makePart(
  deps: ActivityDeps,
  plan: TrainingPlan,
  part: number,
  attempt: Attempt,
): Promise<PartFile> {
  const made = await makeParquet(deps, plan, part, attempt)
  return plan.request.format === 'arrow' ? asArrow(deps, made, attempt) : made
}

/** The same rows as Arrow. The Parquet, of which hash and summaries are, is not kept. */
async function asArrow(deps: ActivityDeps, made: PartFile, { signal }: Attempt): Promise<PartFile> {
  const { file: parquet, unmatched, columns, rows } = made
  const file = parquet.replace(/parquet$/, 'arrow')
  const [parquetPath, path] = [deps.fileIO.localPath(parquet), deps.fileIO.localPath(file)]
  const abort = signal === undefined ? {} : { signal }
  const ordered = await deps.openOrdered()
  try {
    const connection = await ordered.connect()
    const arrowHash = await writeArrow(connection, { parquetPath, columns, rows, path, ...abort })
    connection.closeSync()
    return { ...made, file, arrowHash }
  } catch (error) {
    await deleteFiles(deps, { file, unmatched })
    throw error
  } finally {
    await ordered.close()
    await deps.fileIO.delete(parquet)
  }
}

async function makeParquet(
  deps: ActivityDeps,
  plan: TrainingPlan,
  part: number,
  { place, signal }: Attempt,
): Promise<PartFile> {
  const attempt = randomUUID().slice(0, 8)
  mkdirSync(deps.fileIO.localPath(place), { recursive: true })
  const file = `${place}/${partFileName(part, attempt)}`
  const unmatched = plan.request.unmatched === true ? `${place}/${unmatchedFileName(part, attempt)}` : null
  const tables = await pinnedTables(deps, plan)
  const from = part * plan.partRows
  const request: PartRequest = {
    labelsPath: deps.fileIO.localPath(plan.labels.path),
    labelColumns: plan.labels.columns,
    timeColumn: plan.labels.timeColumn,
    from,
    to: Math.min(from + plan.partRows, plan.labels.rows),
    knowledgeCutoff: plan.request.knowledgeCutoff ?? true,
    groups: plan.selections.map((selection) => partGroup(deps, plan, selection, tables)),
    rowFunctions: rowFunctions(deps, plan),
    path: deps.fileIO.localPath(file),
    unmatchedPath: unmatched === null ? null : deps.fileIO.localPath(unmatched),
    ...(signal === undefined ? {} : { signal }),
  }
  try {
    // The next part is joined while this one is hashed.
    const { rows, matched } = await deps.duckdb.alone(() =>
      withConnection(deps.duckdb, (connection) => buildPart(connection, request)),
    )
    // Features are read again: what is promised of the set is true of its files. Label columns are those of the kept labels,
    // row by row, and have their digests; `asof train verify` reads both.
    const first = from / blockRows
    const known = plan.labels.digests.slice(first, first + Math.max(1, Math.ceil(rows / blockRows)))
    const content = await whatIsIn(deps.duckdb, request.path, rows, known)
    return { file, arrowHash: null, unmatched, rows, matched, ...content }
  } catch (error) {
    // An attempt that is cancelled may be the last to write here.
    await deleteFiles(deps, { file, unmatched })
    throw error
  }
}

async function pinnedTables(
  deps: ActivityDeps,
  { id, selections }: TrainingPlan,
): Promise<Map<string, Table>> {
  const tables = new Map<string, Table>()
  for (const { pin } of selections) {
    if (tables.has(pin.group)) continue
    const gone = (what: string) =>
      new InputError(
        `training set ${id} was pinned to snapshot ${pin.snapshotId} of ${pin.group}, and ${what}. It cannot be built again as it was; ask for it anew.`,
        { group: pin.group, snapshotId: pin.snapshotId },
      )
    const identifier = { namespace: deps.store, name: pin.group }
    if (!(await deps.catalog.tableExists(identifier))) throw gone('the table is gone')
    const table = await deps.catalog.loadTable(identifier)
    if (String(incarnationOf(table)) !== pin.incarnation) throw gone('the table was dropped and made again')
    if (pin.snapshotId !== null && table.snapshot(BigInt(pin.snapshotId)) === null) {
      throw gone('that snapshot was removed')
    }
    tables.set(pin.group, table)
  }
  return tables
}

function partGroup(
  deps: ActivityDeps,
  { request }: TrainingPlan,
  { pin, name, keys, features, ttlMs }: PlannedSelection,
  tables: ReadonlyMap<string, Table>,
): PartGroup {
  const table = tables.get(pin.group) as Table
  const moments = Object.entries(pin.moments).map(
    ([run, moment]) => [run, moment === null ? null : BigInt(moment)] as const,
  )
  return {
    name,
    labelKeys: keys.map(({ column }) => column),
    keys: keys.map((key) => key.name),
    features,
    ttlMicros: ttlMs === null ? null : BigInt(ttlMs) * 1000n,
    moments: new Map(moments),
    timestamps: request.eventTimestamps === true ? timestampColumns(name) : null,
    relationFor: async (labels) => {
      const files = await filesFor(table, pin.snapshotId, labels, { keys, ttlMs, request })
      const localPath = (location: string) => deps.fileIO.localPath(location)
      return (columns) => readDataFiles({ schema: table.schema, files, columns, localPath })
    },
  }
}

/** So many keys at most are looked for in buckets; more than that are in all of them. */
const mostKeys = 1_000

/** Files that hold a row which a label of the part might see: by its time, its age, when it was made, and its bucket. */
async function filesFor(
  table: Table,
  snapshotId: string | null,
  labels: PartLabels,
  { keys, ttlMs, request }: Pick<PlannedSelection, 'keys' | 'ttlMs'> & Pick<TrainingPlan, 'request'>,
) {
  const { range } = labels
  if (snapshotId === null || range === null) return []
  const { from, to } = range
  const filters: Filter[] = [{ column: 'event_timestamp', op: 'le', value: to }]
  if (ttlMs !== null) {
    filters.push({ column: 'event_timestamp', op: 'ge', value: from - BigInt(ttlMs) * 1000n })
  }
  if (request.knowledgeCutoff !== false) filters.push({ column: 'created_timestamp', op: 'le', value: to })
  const bucketed = new Set(bucketColumns(table))
  for (const { name, type, column } of keys.filter((key) => bucketed.has(key.name))) {
    const values = await labels.distinctKeys(column, type, mostKeys)
    if (values !== null) filters.push({ column: name, op: 'in', value: values })
  }
  const { files } = await planScan(table, {
    snapshotId: BigInt(snapshotId),
    filter: { op: 'and', filters },
  })
  return files
}

/** @throws InputError where this worker's function is not the planned one */
function rowFunctions({ definitions }: ActivityDeps, { selections, onDemand }: TrainingPlan): RowFunction[] {
  const columns = new Map<string, { column: string; type: FeatureType }>()
  for (const { role, features } of selections) {
    for (const { name, column, type } of features) {
      columns.set(role === null ? name : `${role}__${name}`, { column, type })
    }
  }
  return onDemand.map(({ name, hash, request, columns: made }) => {
    const found: OnDemand | undefined = definitions.onDemand.get(name)
    if (found !== undefined && onDemandHash(found) === hash) {
      return onDemandRows(found, made, request, columns)
    }
    throw new InputError(
      `The on-demand features ${name} were planned with code ${hash.slice(0, 12)}, this worker ${found === undefined ? 'does not have them' : `has ${onDemandHash(found).slice(0, 12)}`}. Restart the worker with the definitions of the plan, or ask for the set anew.`,
      { onDemand: name },
    )
  })
}
