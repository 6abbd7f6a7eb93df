/** Every gate, by its name. A kind that is missing here does not compile. */
import type { Gate, GateKind } from '../model/gate.ts'
import { allowedValues } from './allowedValues.ts'
import { coverage } from './coverage.ts'
import type { QualityGate } from './gate.ts'
import { inRange } from './inRange.ts'
import { jensenShannon } from './jensenShannon.ts'
import { knownValues } from './knownValues.ts'
import { notEmpty } from './notEmpty.ts'
import { nullRate } from './nullRate.ts'
import { psi } from './psi.ts'
import { queryGate } from './queryGate.ts'
import { rowCount } from './rowCount.ts'
import { uniqueRows } from './uniqueRows.ts'

export const qualityGates: { readonly [Kind in GateKind]: QualityGate<Kind> } = {
  not_empty: notEmpty,
  null_rate: nullRate,
  in_range: inRange,
  allowed_values: allowedValues,
  unique_rows: uniqueRows,
  row_count: rowCount,
  coverage,
  psi,
  jensen_shannon: jensenShannon,
  known_values: knownValues,
  query: queryGate,
}

/** How a gate is judged. */
export function qualityGateOf<Kind extends GateKind>({ gate }: Gate<string, Kind>): QualityGate<Kind> {
  return qualityGates[gate]
}
