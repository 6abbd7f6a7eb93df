/** What a file of a training set holds, and in which columns and blocks it is not what it should be. */
import { quoteLiteral } from '../../iceberg/index.ts'
import { blockRows, query } from '../../offline/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { whatIsIn } from './buildTrainingPart.ts'
import type { PartFile } from './trainingPlan.ts'

export interface ColumnDifference {
  readonly column: string
  /** By number, from 0 over the whole set; a block has 65,536 rows (`offline/contentHash.ts`). */
  readonly blocks: readonly number[]
}

export type PartContent = Pick<PartFile, 'rows' | 'columns' | 'digests'>

/** Reads a Parquet file as it lies there. */
export async function contentOf({ duckdb, fileIO }: ActivityDeps, location: string): Promise<PartContent> {
  const path = fileIO.localPath(location)
  const connection = await duckdb.connect()
  try {
    const [counted] = await query(
      connection,
      `SELECT count(*) AS rows FROM read_parquet(${quoteLiteral(path)})`,
    )
    const rows = Number(counted?.['rows'])
    return { rows, ...(await whatIsIn(connection, path, rows)) }
  } finally {
    connection.closeSync()
  }
}

/** Columns that only one of the two has differ in all blocks. */
export function differingColumns(
  expected: PartContent,
  found: PartContent,
  firstBlock = 0,
): ColumnDifference[] {
  const [wanted, there] = [digestsByColumn(expected), digestsByColumn(found)]
  const names = new Set([...wanted.keys(), ...there.keys()])
  return [...names].flatMap((column) => {
    const [left, right] = [wanted.get(column) ?? [], there.get(column) ?? []]
    const blocks = Array.from({ length: Math.max(left.length, right.length) }, (_, at) => at)
    const differing = blocks.filter((at) => left[at] !== right[at]).map((at) => firstBlock + at)
    return differing.length === 0 ? [] : [{ column, blocks: differing }]
  })
}

/** The same columns in the same order, with the same values. */
export const isSameContent = (expected: PartContent, found: PartContent): boolean =>
  expected.rows === found.rows && expected.digests.join() === found.digests.join()

/** A block's digests stand behind each other, 64 hex digits a column. */
function digestsByColumn({ columns, digests }: PartContent): Map<string, string[]> {
  return new Map(
    columns.map(({ name }, at) => [name, digests.map((all) => all.slice(64 * at, 64 * (at + 1)))]),
  )
}

/** Of a part in the whole set. */
export const firstBlockOf = (part: number, partRows: number): number => (part * partRows) / blockRows
