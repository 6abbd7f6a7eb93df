/** No two rows share their keys, event timestamp and created timestamp; two that lack one share it. */
import type { QualityGate } from './gate.ts'
import { counted } from './sentences.ts'
import { figure, rowColumns, rowTexts } from './sql.ts'

export const uniqueRows: QualityGate<'unique_rows'> = {
  refuses: () => null,
  figures: (_gate, context) => ({
    rows: 'count(*)',
    // Grouping spills to disk where it must; a distinct count over all rows would not.
    shared: `(SELECT count(*) FROM (
      SELECT 1 FROM ${context.staged} AS staged
      GROUP BY ${grouping(context)} HAVING count(*) > 1
    ))`,
  }),
  judge: (_gate, figures) => {
    const [rows, shared] = [figure(figures, 'rows'), figure(figures, 'shared')]
    return {
      ok: shared === 0,
      sentence:
        shared === 0
          ? `no two of ${counted(rows, 'row')} share keys, event and created timestamp`
          : `${counted(shared, 'combination')} of keys, event and created timestamp ${shared === 1 ? 'is' : 'are'} there more than once among ${counted(rows, 'row')}`,
      violationCount: shared,
      figures,
    }
  },
  violations: (_gate, context) =>
    `SELECT ${rowTexts(context).join(', ')}, CAST(count(*) AS VARCHAR) AS "times staged"
FROM ${context.staged} AS staged
GROUP BY ${grouping(context)} HAVING count(*) > 1
ORDER BY ${grouping(context)}`,
}

function grouping(context: Parameters<typeof rowColumns>[0]): string {
  return rowColumns(context)
    .map((column) => `staged.${column}`)
    .join(', ')
}
