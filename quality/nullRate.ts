/** At most a share of a feature's values is null. A run without rows has no nulls. */
import type { QualityGate } from './gate.ts'
import { counted, formatNumber, formatShare } from './sentences.ts'
import { featureOf, figure, offendingRows } from './sql.ts'

export const nullRate: QualityGate<'null_rate'> = {
  refuses: () => null,
  figures: (gate, context) => {
    const { column } = featureOf(gate, context)
    return { rows: 'count(*)', nulls: `count(*) FILTER (staged.${column} IS NULL)` }
  },
  judge: ({ params: { max } }, figures) => {
    const [rows, nulls] = [figure(figures, 'rows'), figure(figures, 'nulls')]
    // A correctly rounded quotient equals the number that a person writes for it: 3 of 60 is at most 0.05.
    const rate = rows === 0 ? 0 : nulls / rows
    const ok = rate <= max
    return {
      ok,
      sentence: `${formatNumber(nulls)} of ${counted(rows, 'value')} ${nulls === 1 ? 'is' : 'are'} null (${formatShare(rate)}), at most ${formatShare(max)} may be`,
      violationCount: ok ? 0 : nulls,
      figures: { ...figures, rate, max },
    }
  },
  violations: (gate, context) =>
    offendingRows(gate, context, `staged.${featureOf(gate, context).column} IS NULL`),
}
