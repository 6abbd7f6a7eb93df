/** Counts what was answered by status, for `/metrics`: a row of which all is there costs one addition. */
import type { ValueStatus } from '../online/index.ts'
import type { StoredPlace } from './vectors.ts'

/** By group and status. */
export type ValueCounts = ReadonlyMap<string, ReadonlyMap<ValueStatus, number>>

export class Tally {
  private readonly stored: readonly StoredPlace[]
  private whole = 0
  private readonly others = new Map<string, Map<ValueStatus, number>>()

  constructor(stored: readonly StoredPlace[]) {
    this.stored = stored
  }

  /** Counts the row at which the cursors stand. @returns whether all its stored values are PRESENT */
  row(): boolean {
    for (const { cursor, feature } of this.stored) {
      if (cursor.isAt(feature)) continue
      this.rowWithGaps()
      return false
    }
    this.whole += 1
    return true
  }

  private rowWithGaps(): void {
    for (const { cursor, feature } of this.stored) this.add(cursor.card.group, cursor.status(feature), 1)
  }

  private add(group: string, status: ValueStatus, count: number): void {
    let counts = this.others.get(group)
    if (counts === undefined) this.others.set(group, (counts = new Map<ValueStatus, number>()))
    counts.set(status, (counts.get(status) ?? 0) + count)
  }

  /** Once, when all rows are counted. */
  counts(): ValueCounts {
    for (const { cursor } of this.stored) this.add(cursor.card.group, 'PRESENT', this.whole)
    return this.others
  }
}
