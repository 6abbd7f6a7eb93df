/** Reads a request's labels where they lie and keeps them, numbered in their order. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import type { EpochMs, TrainingRequest } from '../../model/index.ts'
import { blockDigests, contentHash, keepLabels, listFilesOf, type KeptLabels } from '../../offline/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { labelsSource } from './labelsSource.ts'
import type { Pins } from './pinGroups.ts'
import { requestColumns, type KnownRequest } from './selections.ts'

export interface Kept extends KeptLabels {
  /** A location. */
  readonly path: string
  readonly contentHash: string
  /** Of its blocks (`offline/contentHash.ts`). */
  readonly digests: readonly string[]
  readonly timeColumn: string
}

/** Reads the labels where they lie and keeps them, in their order, before anything else is decided. */
export async function keptLabels(
  deps: ActivityDeps,
  request: TrainingRequest,
  { selections, onDemand, pins, now }: KnownRequest & { readonly pins: Pins; readonly now: EpochMs },
): Promise<Kept> {
  const folder = deps.fileIO.localPath(`${deps.trainingFolder}/labels`)
  mkdirSync(folder, { recursive: true })
  const name = `${randomUUID()}.parquet`
  const [path, local] = [`${deps.trainingFolder}/labels/${name}`, resolve(folder, name)]
  const keys = selections.flatMap(({ keys: columns, known }) =>
    columns.map(({ name: key, type, column }) => ({ column, type, as: `${known.group.id}.${key}` })),
  )
  const asked = onDemand.flatMap((one) => Object.values(requestColumns(request, one)))
  const wanted = [...keys.map(({ column }) => column), ...asked]
  const { source, scratch } = await labelsSource(deps, request, { folder, wanted, pins, now })
  const ordered = await deps.openOrdered()
  try {
    const files = await listFilesOf([source], deps.environment, deps.baseFolder)
    const connection = await ordered.connect()
    const labels = await keepLabels(connection, { source, files, keys, path: local })
    const { digests } = await blockDigests(deps.duckdb, local, labels.columns, labels.rows)
    connection.closeSync()
    return {
      ...labels,
      path,
      digests,
      contentHash: contentHash(digests),
      timeColumn: source.timestamp,
    }
  } catch (error) {
    rmSync(local, { force: true })
    throw error
  } finally {
    await ordered.close()
    if (scratch !== null) rmSync(scratch, { force: true })
  }
}
