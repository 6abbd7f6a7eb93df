/** What the tests of this room stand on: a folder and a DuckDB of their own, groups and the errors they expect. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll } from 'vitest'
import { count, entity, featureGroup, InputError, parseInstant } from '../../model/index.ts'
import type { AggregateFeature, FeatureGroup, Source } from '../../model/index.ts'
import {
  bindGroup,
  bindSources,
  computeRows,
  listFilesOf,
  openDuckDb,
  query,
  type DuckDb,
  type Row,
  type SourceFile,
} from '../../offline/index.ts'

export interface Workbench {
  folder: string
  duckdb: DuckDb
  connection: DuckDBConnection
  write(name: string, text: string | Uint8Array): Promise<string>
  /** Writes the rows of a query as a Parquet file. */
  writeParquet(name: string, select: string): Promise<string>
}

/** Opened before the file's tests and cleaned up after them. */
export function workbench(): Workbench {
  const bench = {} as Workbench
  beforeAll(async () => {
    bench.folder = await mkdtemp(join(tmpdir(), 'asof-offline-'))
    bench.duckdb = await openDuckDb({
      memoryLimit: '1GB',
      threads: 2,
      tempDirectory: join(bench.folder, 'spill'),
    })
    bench.connection = await bench.duckdb.connect()
    bench.write = async (name, text) => {
      await writeFile(join(bench.folder, name), text)
      return join(bench.folder, name)
    }
    bench.writeParquet = async (name, select) => {
      await query(bench.connection, `COPY (${select}) TO '${join(bench.folder, name)}' (FORMAT parquet)`)
      return join(bench.folder, name)
    }
  })
  afterAll(async () => {
    bench.connection.closeSync()
    await bench.duckdb.close()
    await rm(bench.folder, { recursive: true })
  })
  return bench
}

/** The files at a source's path, which these tests write as text. */
export async function filesOf(...sources: readonly Source[]): Promise<SourceFile[]> {
  return listFilesOf(sources, {}, '/')
}

/** The source of a group that has just one. */
export function onlySourceOf({ id, source }: FeatureGroup): Source {
  if (source === null) throw new Error(`${id} has no source of its own`)
  return source
}

export function groupOn(
  source: Source,
  features: Record<string, AggregateFeature> = { events: count({ over: '1d' }) },
  keys: Parameters<typeof entity>[0]['keys'] = { k: 'string' },
): FeatureGroup {
  return featureGroup({
    name: 'tested',
    version: 1,
    owner: 'o@example.com',
    description: 'd',
    entity: entity({ name: 'thing', keys }),
    source,
    every: '1d',
    features,
  })
}

/** Binds and computes a group on what lies at its source's path, from 2 January 2001 (exclusive) for so many days. */
export async function computeDays({ connection }: Workbench, group: FeatureGroup, days = 1): Promise<Row[]> {
  const files = await filesOf(...group.sources)
  const bound = await bindGroup(connection, group, files)
  const relations = await bindSources(connection, group.sources, files)
  const from = parseInstant('2001-01-01')
  const range = { from, to: from + days * 864e5 }
  await computeRows(connection, { bound, relations, range, runId: 'run', into: 'days' })
  try {
    return await query(connection, `SELECT * FROM days ORDER BY ALL`)
  } finally {
    await query(connection, 'DROP TABLE days')
  }
}

/** The message of the InputError that a promise must end in. */
export async function inputError(promise: Promise<unknown>): Promise<string> {
  const outcome = await promise.then(
    () => null,
    (error: unknown) => error,
  )
  if (!(outcome instanceof InputError)) throw new Error('expected an InputError', { cause: outcome })
  return outcome.message
}
