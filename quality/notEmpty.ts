/** At least one row was staged. */
import type { QualityGate } from './gate.ts'
import { figure } from './sql.ts'
import { counted } from './sentences.ts'

export const notEmpty: QualityGate<'not_empty'> = {
  refuses: () => null,
  figures: () => ({ rows: 'count(*)' }),
  judge: (_gate, figures, { intervals }) => {
    const rows = figure(figures, 'rows')
    const held = rows === 0 ? 'no row was staged' : `${counted(rows, 'row')} staged`
    return {
      ok: rows > 0,
      sentence: `${held} for ${counted(intervals, 'interval')}`,
      violationCount: 0,
      figures,
    }
  },
  violations: () => null,
}
