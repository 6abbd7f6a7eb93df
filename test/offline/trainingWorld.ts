/** Parts of training sets over rows and labels that a test writes down, as files that a store would have. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/duckdb/quote.ts'
import type { Source } from '../../model/index.ts'
import {
  blockDigests,
  buildPart,
  keepLabels,
  openDuckDb,
  query,
  withConnection,
  type KeptLabels,
  type PartGroup,
} from '../../offline/index.ts'
import type { PartFeature, PartRequest, PartResult } from '../../offline/trainingPart.ts'
import { rowsOf, type Row } from '../iceberg/pyiceberg.ts'
import { filesOf, type Workbench } from './workbench.ts'

let made = 0
/** A path in the bench's folder that nobody has had. */
export const newPath = ({ folder }: Workbench, name: string) => join(folder, `${name}-${(made += 1)}.parquet`)

export interface WrittenLabels extends KeptLabels {
  readonly path: string
}

/** The rows of a query as labels, in its order; the query has the column `at`. */
export async function writeLabels(bench: Workbench, select: string): Promise<WrittenLabels> {
  const path = newPath(bench, 'labels')
  await query(bench.connection, `COPY (${select}) TO ${quoteLiteral(path)} (FORMAT parquet)`)
  const described = await query(
    bench.connection,
    `DESCRIBE SELECT * FROM read_parquet(${quoteLiteral(path)})`,
  )
  const [counted] = await query(
    bench.connection,
    `SELECT count(*) AS rows FROM read_parquet(${quoteLiteral(path)})`,
  )
  const columns = described.map((row) => ({
    name: String(row['column_name']),
    type: String(row['column_type']),
  }))
  return { path, columns, rows: Number(counted?.['rows']), range: null }
}

/** Labels as a training set keeps them, of a source that lies somewhere. */
export async function keep(
  bench: Workbench,
  source: Source,
  keys: Parameters<typeof keepLabels>[1]['keys'],
): Promise<WrittenLabels> {
  const path = newPath(bench, 'kept')
  const ordered = await openDuckDb({
    ...{ memoryLimit: '500MB', threads: 2, keepsOrder: true },
    tempDirectory: join(bench.folder, 'spill-ordered'),
  })
  const connection = await ordered.connect()
  try {
    const kept = await keepLabels(connection, { source, files: await filesOf(source), keys, path })
    return { ...kept, path }
  } finally {
    connection.closeSync()
    await ordered.close()
  }
}

export const float64 = (name: string): PartFeature => ({
  ...{ name, type: 'float64', column: name, default: null, hidden: false },
})

/** A group whose rows are those of a query, with the columns of a table. */
export async function groupOf(
  bench: Workbench,
  select: string,
  group: Partial<PartGroup> & Pick<PartGroup, 'keys' | 'features'>,
): Promise<PartGroup> {
  const path = newPath(bench, 'rows')
  await query(bench.connection, `COPY (${select}) TO ${quoteLiteral(path)} (FORMAT parquet)`)
  return {
    ...{ name: 'group_v1', labelKeys: group.keys, ttlMicros: null, moments: new Map(), timestamps: null },
    relationFor: () =>
      Promise.resolve(
        (columns) =>
          `(SELECT ${columns.map(quoteIdentifier).join(', ')} FROM read_parquet(${quoteLiteral(path)}))`,
      ),
    ...group,
  }
}

export interface BuiltPart extends Pick<PartResult, 'matched'> {
  readonly columns: readonly string[]
  /** As text that loses nothing, in the file's order. */
  readonly rows: readonly Row[]
  readonly unmatched: readonly Row[]
  readonly digests: readonly string[]
  readonly path: string
}

/**
 * All labels as one part, unless `from` and `to` say otherwise; with a list of those that found nothing, and without one, which
 * is a shorter way to the same part.
 */
export async function build(
  bench: Workbench,
  labels: WrittenLabels,
  groups: readonly PartGroup[],
  how: Partial<PartRequest> = {},
): Promise<BuiltPart> {
  const path = newPath(bench, 'part')
  const unmatchedPath = groups.length === 0 ? null : newPath(bench, 'unmatched')
  const connection = await bench.duckdb.connect()
  const request: PartRequest = {
    ...{
      labelsPath: labels.path,
      labelColumns: labels.columns,
      timeColumn: 'at',
      from: 0,
      to: labels.rows,
    },
    ...{ knowledgeCutoff: true, groups, rowFunctions: [], path, unmatchedPath },
    ...how,
  }
  try {
    const result = await buildPart(connection, request)
    const file = `read_parquet(${quoteLiteral(path)})`
    const described = await query(connection, `DESCRIBE SELECT * FROM ${file}`)
    const columns = described.map((row) => ({
      name: String(row['column_name']),
      type: String(row['column_type']),
    }))
    const numbered = `read_parquet(${quoteLiteral(path)}, file_row_number = true)`
    const { digests } = await blockDigests(bench.duckdb, path, columns, result.rows)
    const shorter = { ...request, path: newPath(bench, 'part'), unmatchedPath: null }
    const again = await withConnection(bench.duckdb, (other) => buildPart(other, shorter))
    expect(again).toEqual(result)
    expect((await blockDigests(bench.duckdb, shorter.path, columns, again.rows)).digests).toEqual(digests)
    return {
      ...result,
      path,
      columns: columns.map(({ name }) => name),
      rows: await rowsOf(
        connection,
        `SELECT * EXCLUDE (file_row_number) FROM ${numbered} ORDER BY file_row_number`,
      ),
      unmatched:
        unmatchedPath === null
          ? []
          : await rowsOf(
              connection,
              `SELECT "row", "group" FROM read_parquet(${quoteLiteral(unmatchedPath)})`,
            ),
      digests,
    }
  } finally {
    connection.closeSync()
  }
}

/** One column of a part. */
export function columnOf({ columns, rows }: BuiltPart, name: string): (string | null)[] {
  const at = columns.indexOf(name)
  if (at < 0) throw new Error(`no column ${name} among ${columns.join(', ')}`)
  return rows.map((row) => row[at] ?? null)
}
