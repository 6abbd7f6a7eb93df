/** Rows per interval against those of the intervals published before: within a ratio. Passes without history. */
import type { QualityGate } from './gate.ts'
import { counted, formatNumber } from './sentences.ts'
import { figure } from './sql.ts'

export const rowCount: QualityGate<'row_count'> = {
  refuses: () => null,
  figures: ({ params: { last } }, { published }) => ({
    rows: 'count(*)',
    published_rows: `(SELECT count(*) FROM ${published(last).relation} AS published)`,
  }),
  judge: ({ params: { min, max, last } }, figures, { intervals, published }) => {
    const publishedIntervals = published(last).intervals
    const [rows, publishedRows] = [figure(figures, 'rows'), figure(figures, 'published_rows')]
    const staged = `${formatNumber(rows / intervals)} rows per interval`
    const known = { ...figures, intervals, published_intervals: publishedIntervals, min, max }
    if (publishedIntervals === 0 || publishedRows === 0) {
      const nothing = publishedIntervals === 0 ? 'nothing was' : 'no rows were'
      return {
        ok: true,
        sentence: `${staged}; ${nothing} published before to compare them with`,
        violationCount: 0,
        figures: { ...known, ratio: null },
      }
    }
    // One division of whole numbers, so that a ratio of exactly `min` or `max` is found to be that.
    const ratio = (rows * publishedIntervals) / (publishedRows * intervals)
    return {
      ok: ratio >= min && ratio <= max,
      sentence: `${staged}, ${formatNumber(ratio)} times the ${formatNumber(publishedRows / publishedIntervals)} of the last ${counted(publishedIntervals, 'interval')} published before; ${formatNumber(min)} to ${formatNumber(max)} times may be`,
      violationCount: 0,
      figures: { ...known, ratio },
    }
  },
  violations: () => null,
}
