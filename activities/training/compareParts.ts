/** In which columns and blocks a file of a training set is not what it should be. */
import { blockRows } from '../../offline/index.ts'
import type { PartContent } from './partContent.ts'

export interface ColumnDifference {
  readonly column: string
  /** By number, from 0 over the whole set; a block has 65,536 rows (`offline/contentHash.ts`). */
  readonly blocks: readonly number[]
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
