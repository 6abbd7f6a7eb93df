/**
 * Sweeps what closed runs and dead commits left of a group's table.
 *
 * A file goes only if no open run owns it and no snapshot that a branch or tag leads to can read it. Runs stand in the
 * registry before their first file does, so the files are listed before the runs are asked for, and the table is read
 * after that: whatever is opened, written or published in between is known by then. What nobody knows goes by its age.
 */
import { reachableDataFiles, sweepMetadata, type ListedFile, type Table } from '../iceberg/index.ts'
import { durationMs } from '../model/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { publishedSnapshots } from './healLedger.ts'
import { branchOf, runOfLedger, summaryKeys } from './runFiles.ts'
import { openStatuses } from './takeBackLostRuns.ts'

const nothing = { branches: 0, tags: 0, snapshots: 0, files: 0 }

export const sweepTable =
  (deps: ActivityDeps): Activities['sweepTable'] =>
  async ({ group, olderThan }) => {
    const { catalog, store, now } = deps
    const identifier = { namespace: store, name: group }
    if (!(await catalog.tableExists(identifier))) return nothing
    const table = await catalog.loadTable(identifier)
    const olderThanMs = durationMs(olderThan, 'olderThan')
    // Files are as old as their store says, snapshots as the catalog does, whose clock is the store's.
    const modifiedBefore = Date.now() - olderThanMs

    const found = await listRunFiles(deps, table)
    await table.refresh()
    const closed = await closedRuns(deps, table, found, modifiedBefore)
    const branches = await dropBranches(table, closed)
    const tags = await table.expireTags(await now())
    const files = await sweepRuns(deps, table, found, closed)
    const temporary = await sweepTemporary(deps, table, modifiedBefore)
    const snapshots = await table.removeUnreachable({ committedBefore: (await now()) - olderThanMs })
    const metadata = await sweepMetadata(table, modifiedBefore)
    return { branches, tags: tags.length, snapshots, files: files + temporary + metadata }
  }

interface RunFile extends ListedFile {
  readonly runId: string
  readonly folder: 'runs' | 'data' | 'ledger'
}

async function listRunFiles({ fileIO }: ActivityDeps, { location }: Table): Promise<RunFile[]> {
  const found: RunFile[] = []
  for (const folder of ['runs', 'data', 'ledger'] as const) {
    const root = `${location}/${folder}/`
    for await (const file of fileIO.listWithTimes(`${location}/${folder}`)) {
      const path = file.location.slice(root.length)
      const runId = folder === 'ledger' ? runOfLedger(file.location) : path.slice(0, path.indexOf('/'))
      if (runId !== null && runId !== '') found.push({ ...file, runId, folder })
    }
  }
  return found
}

/** A run's id is that of a workflow's run, or made of it: other engines put their files below `data/` under other names. */
const runIdPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.live)?$/

/** Runs with files or a branch that are closed, or that the registry does not know and whose newest file is old. */
async function closedRuns(
  { registry }: ActivityDeps,
  table: Table,
  found: readonly RunFile[],
  modifiedBefore: number,
): Promise<Map<string, 'closed' | 'unknown'>> {
  const newest = new Map(runIdsOfBranches(table).map((runId) => [runId, 0]))
  for (const { runId, modifiedMs } of found) {
    newest.set(runId, Math.max(modifiedMs, newest.get(runId) ?? 0))
  }
  const closed = new Map<string, 'closed' | 'unknown'>()
  for (const [runId, modifiedMs] of newest) {
    const run = await registry.run(runId)
    if (run !== null && !openStatuses.includes(run.status)) closed.set(runId, 'closed')
    if (run === null && modifiedMs < modifiedBefore && runIdPattern.test(runId)) closed.set(runId, 'unknown')
  }
  return closed
}

const runIdsOfBranches = (table: Table): string[] =>
  table.refs().flatMap(({ name }) => (name.startsWith(branchOf('')) ? [name.slice(branchOf('').length)] : []))

async function dropBranches(table: Table, closed: ReadonlyMap<string, unknown>): Promise<number> {
  const dropped = runIdsOfBranches(table).filter((runId) => closed.has(runId))
  for (const runId of dropped) await table.dropBranch(branchOf(runId))
  return dropped.length
}

async function sweepRuns(
  deps: ActivityDeps,
  table: Table,
  found: readonly RunFile[],
  closed: ReadonlyMap<string, 'closed' | 'unknown'>,
): Promise<number> {
  await table.refresh()
  const readable = await reachableDataFiles(table)
  const isReadable = ({ location }: RunFile) => readable.has(deps.fileIO.localPath(location))
  const published = await publishedRuns(deps, table, found.filter(isReadable))
  const isLeft = (file: RunFile) =>
    closed.has(file.runId) &&
    (file.folder === 'runs' ||
      (file.folder === 'data' && !isReadable(file)) ||
      (file.folder === 'ledger' && !published.keepsLedger(file)))
  const left = found.filter(isLeft)
  for (const { location } of left) await deps.fileIO.delete(location)
  return left.length
}

/**
 * Ledger files are kept for ever: of a run whose snapshot is there the one that it names, and where the snapshot has
 * expired, all of the run.
 */
async function publishedRuns({ registry }: ActivityDeps, table: Table, readable: readonly RunFile[]) {
  const named = new Map(
    publishedSnapshots(table).map(({ summary }) => [summary[summaryKeys.run], summary[summaryKeys.ledger]]),
  )
  const inLedger = await registry.publishedRunIds(table.identifier.name)
  const withRows = new Set(readable.map(({ runId }) => runId))
  const recorded = await registry.runs({
    group: table.identifier.name,
    statuses: ['published'],
    limit: Number.MAX_SAFE_INTEGER,
  })
  const ever = new Set([...inLedger, ...withRows, ...recorded.map(({ runId }) => runId)])
  return {
    keepsLedger: ({ runId, location }: RunFile): boolean =>
      named.has(runId) ? named.get(runId) === location : ever.has(runId),
  }
}

/** What a process was about to give a name in the folders that last. */
async function sweepTemporary(
  { fileIO }: ActivityDeps,
  { location }: Table,
  before: number,
): Promise<number> {
  let files = 0
  for (const folder of ['ledger', 'loads']) {
    for await (const file of fileIO.listWithTimes(`${location}/${folder}`)) {
      if (!file.location.endsWith('.tmp') || file.modifiedMs >= before) continue
      await fileIO.delete(file.location)
      files += 1
    }
  }
  return files
}
