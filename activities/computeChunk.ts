/** Computes one chunk of intervals into Parquet files under the attempt's own prefix. */
import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { dataFileToJson, writeDataFiles } from '../iceberg/index.ts'
import { InputError } from '../model/index.ts'
import { bindSources, computeRows, type SourceFile } from '../offline/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'
import { fillRows } from './fillRows.ts'
import { groupOf } from './groupOf.ts'
import { withHeartbeat } from './heartbeat.ts'
import { laterVersions, type VersionsRequest } from './laterVersions.ts'
import {
  chunkPathOf,
  dataFolder,
  readJsonFile,
  writeOnce,
  type ChunkFile,
  type ChunkWork,
  type RunPlan,
} from './runFiles.ts'

/** A chunk whose file is there was computed by an attempt before this one and is taken as it is. */
export const computeChunk =
  (deps: ActivityDeps): Activities['computeChunk'] =>
  ({ group: id, planPath, chunk }) =>
    withHeartbeat(async (signal, note) => {
      const chunkPath = chunkPathOf(planPath, chunk)
      if (!(await deps.fileIO.exists(chunkPath))) {
        const plan = await readJsonFile<RunPlan>(deps.fileIO, planPath)
        note({ chunk, step: 'computing' })
        await writeOnce(deps.fileIO, chunkPath, await compute(deps, plan, id, chunk, signal))
      }
      const { rows, vanished, bytes, files } = await readJsonFile<ChunkFile>(deps.fileIO, chunkPath)
      return { rows, vanished, bytes, files: files.length }
    })

async function compute(
  deps: ActivityDeps,
  plan: RunPlan,
  id: string,
  chunk: number,
  signal: AbortSignal,
): Promise<ChunkFile> {
  const { bound, group, table } = await groupOf(deps, id)
  const planned = plan.chunks[chunk]
  if (planned === undefined)
    throw new InputError(`Run ${plan.runId} has no chunk ${chunk}; its plan has ${plan.chunks.length}.`)
  await refuseChangedFiles(plan.sourceFiles)
  const connection = await deps.duckdb.connect()
  try {
    const relations = await bindSources(connection, group.sources, plan.sourceFiles, plan.sourceColumns)
    const into = `chunk_${randomUUID().replaceAll('-', '')}`
    const { work } = planned
    const computed = await computeRows(connection, {
      ...{ bound, relations, runId: plan.runId, into, signal },
      range: planned,
      ...(planned.only === undefined ? {} : { only: planned.only }),
      withTolerances: work.kind === 'versions',
      ...(plan.knownFrom === null ? {} : { knownFrom: plan.knownFrom }),
    })
    await refuseChangedFiles(plan.sourceFiles)
    const localPath = (location: string) => deps.fileIO.localPath(location)
    const made = await makeOf(connection, work, {
      ...{
        table,
        bound,
        ranges: planned.only ?? [planned],
        plan,
        computed: into,
        rows: computed.rows,
        localPath,
      },
    })
    const files = await writeDataFiles(connection, {
      schema: table.schema,
      spec: table.spec,
      relation: made.relation,
      orderBy: [...bound.keys.map(({ name }) => name), 'event_timestamp'],
      directory: `${dataFolder(table.location, plan.runId)}/${plan.planId}/${String(chunk).padStart(5, '0')}-${randomUUID().slice(0, 8)}`,
      localPath,
    })
    const { rows, unfilled, vanished, corrected } = made
    return {
      ...{ rows, unfilled, vanished, corrected },
      files: files.map(dataFileToJson),
      bytes: files.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0),
    }
  } finally {
    connection.closeSync()
  }
}

interface Computed extends Omit<VersionsRequest, 'into'> {
  /** How many rows were computed. */
  readonly rows: number
}

/** What is written of the computed rows, and what is to be said of it. */
async function makeOf(
  connection: DuckDBConnection,
  work: ChunkWork,
  computed: Computed,
): Promise<Pick<ChunkFile, 'rows' | 'unfilled' | 'vanished' | 'corrected'> & { relation: string }> {
  const nothing = { unfilled: 0, vanished: 0, corrected: [] }
  const into = `${computed.computed}_${work.kind}`
  switch (work.kind) {
    case 'rows':
      return { ...nothing, relation: computed.computed, rows: computed.rows }
    case 'fill': {
      const filled = await fillRows(connection, { ...computed, fills: work.features, into })
      return { ...nothing, ...filled, relation: into }
    }
    case 'versions':
      return { ...nothing, ...(await laterVersions(connection, { ...computed, into })), relation: into }
  }
}

/** A run computes from the files that its plan saw, or fails: half of it from other data would be nobody's meaning. */
async function refuseChangedFiles(files: readonly SourceFile[]): Promise<void> {
  for (const { source, path, size, modifiedMs } of files) {
    const now = await stat(path).catch(() => null)
    if (now === null || now.size !== size || now.mtimeMs !== modifiedMs) {
      throw new InputError(
        `Source ${source}: ${path} ${now === null ? 'has disappeared' : 'has changed'} since the run was planned. Run it again once the source is at rest.`,
        { source, path },
      )
    }
  }
}
