/** No row comes out of a SELECT over the staged rows and those published before: whatever comes out is a violation. */
import type { Gate } from '../model/gate.ts'
import type { GateContext, QualityGate } from './gate.ts'
import { counted } from './sentences.ts'
import { figure } from './sql.ts'

type QueryGate = Gate<string, 'query'>

export const queryGate: QualityGate<'query'> = {
  refuses: () => null,
  figures: (gate, context) => ({
    violations: `(${relations(gate, context)} SELECT count(*) FROM ${asked(gate)})`,
  }),
  judge: (_gate, figures) => {
    const violations = figure(figures, 'violations')
    return {
      ok: violations === 0,
      sentence: `the query found ${violations === 0 ? 'no row' : counted(violations, 'row')}`,
      violationCount: violations,
      figures,
    }
  },
  violations: (gate, context) =>
    `${relations(gate, context)} SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ${asked(gate)} ORDER BY ALL`,
}

type Relations = Pick<GateContext, 'staged' | 'published'>

function relations({ params }: QueryGate, { staged, published }: Relations): string {
  return `WITH staged AS (SELECT * FROM ${staged}),
  published AS (SELECT * FROM ${published(params.last).relation})`
}

/** On lines of its own, so that a comment at its end ends there. */
function asked({ params }: QueryGate): string {
  return `(\n${params.sql}\n) AS violations`
}

/** SQL that DuckDB binds where the query fits the group's table. @param rows an empty relation with its columns */
export function bindingOf(gate: QueryGate, rows: string): string {
  const empty: Relations = { staged: rows, published: () => ({ relation: rows, intervals: 0 }) }
  return `${relations(gate, empty)} SELECT * FROM ${asked(gate)} LIMIT 0`
}
