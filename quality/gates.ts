/** Every gate, by its name. A kind that is missing here does not compile. */
import type { GateKind } from '../model/gate.ts'
import type { QualityGate } from './gate.ts'
import { inRange } from './inRange.ts'
import { notEmpty } from './notEmpty.ts'
import { nullRate } from './nullRate.ts'
import { rowCount } from './rowCount.ts'
import { uniqueRows } from './uniqueRows.ts'

export const qualityGates: Readonly<Record<GateKind, QualityGate>> = {
  not_empty: notEmpty,
  null_rate: nullRate,
  in_range: inRange,
  unique_rows: uniqueRows,
  row_count: rowCount,
}
