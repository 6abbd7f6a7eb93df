/**
 * Counts a feature's published and staged values into the same bins, which the published values draw.
 *
 * Numbers: bins of about equal count between quantiles of the published values (the smallest value that at least
 * k / bins of them do not exceed; ties make bins fall together), closed above, and one bin each for what lies below or
 * above every published value. Strings and booleans: a bin for each of the most frequent published values, one for the
 * other published ones, one for values that were never published. Nulls and NaN have bins of their own. A bin that is
 * empty on both sides is not there.
 *
 * Everything is grouped and sorted, which spills to disk where it must; DuckDB's own quantiles hold all values.
 */
import { nullBin, type Drift } from './drift.ts'
import type { GateContext } from './gate.ts'
import { featureOf } from './sql.ts'

/** SQL for `QualityGate.bins`. */
export function driftBins(gate: Drift, context: GateContext): string | null {
  const { relation, intervals } = context.published(gate.params.last)
  if (intervals === 0) return null
  const { column, type } = featureOf(gate, context)
  const values = `(
    SELECT ${column} AS value, true AS is_published FROM ${relation} AS published
    UNION ALL SELECT ${column}, false FROM ${context.staged} AS staged)`
  const known = `(
    SELECT ${column} AS value, count(*) AS occurrences FROM ${relation} AS published
    WHERE ${column} IS NOT NULL${isFloat(type) ? ` AND NOT isnan(${column})` : ''} GROUP BY ${column})`
  const { bins } = gate.params
  return type === 'string' || type === 'boolean'
    ? categories(values, known, bins)
    : ranges(values, known, bins, isFloat(type))
}

const isFloat = (type: string) => type === 'float32' || type === 'float64'

const counts = `CAST(count(*) FILTER (is_published) AS DOUBLE) AS published,
  CAST(count(*) FILTER (NOT is_published) AS DOUBLE) AS staged`

function categories(values: string, known: string, bins: number): string {
  return `WITH known AS (
  SELECT value, row_number() OVER (ORDER BY occurrences DESC, value) AS place FROM ${known})
SELECT CASE place WHEN ${bins + 1} THEN 'other published values' WHEN ${bins + 2} THEN 'values never published'
    WHEN ${bins + 3} THEN '${nullBin}' ELSE '''' || value || '''' END AS bin, published, staged
FROM (
  SELECT place, CASE WHEN place <= ${bins} THEN CAST(value AS VARCHAR) END AS value, ${counts}
  FROM (
    SELECT is_published, given.value, CASE WHEN given.value IS NULL THEN ${bins + 3}
      WHEN known.place IS NULL THEN ${bins + 2} ELSE least(known.place, ${bins + 1}) END AS place
    FROM ${values} AS given LEFT JOIN known ON known.value = given.value)
  GROUP BY ALL)
ORDER BY place`
}

/** Place 0 lies below every published value, 1 to `bins` between the cuts, then above, null, NaN. */
function ranges(values: string, known: string, bins: number, isFloat: boolean): string {
  const inner = Array.from({ length: bins - 1 }, (_, at) => at + 1)
  const cuts = inner.map((at) => `min(value) FILTER (upto * ${bins} >= ${at} * total) AS cut_${at}`)
  const places = inner.map((at) => `CAST(value > cut_${at} AS INTEGER)`)
  const list = ['cut_0', ...inner.map((at) => `cut_${at}`), `cut_${bins}`].join(', ')
  return `WITH cuts AS (
  SELECT min(value) AS cut_0, ${[...cuts, `max(value) AS cut_${bins}`].join(', ')}
  FROM (SELECT value, sum(occurrences) OVER (ORDER BY value) AS upto, sum(occurrences) OVER () AS total FROM ${known}))
SELECT CASE place WHEN 0 THEN 'below ' || cut_0 WHEN ${bins + 1} THEN 'above ' || cut_${bins}
    WHEN ${bins + 2} THEN '${nullBin}' WHEN ${bins + 3} THEN 'NaN' WHEN ${bins + 4} THEN 'any number'
    ELSE [${list}][place] || ' to ' || [${list}][place + 1] END AS bin, published, staged
FROM (
  SELECT place, ${counts}
  FROM (
    SELECT is_published, CASE WHEN value IS NULL THEN ${bins + 2}
      ${isFloat ? `WHEN isnan(value) THEN ${bins + 3}` : ''}
      WHEN cut_0 IS NULL THEN ${bins + 4} WHEN value < cut_0 THEN 0 WHEN value > cut_${bins} THEN ${bins + 1}
      ELSE ${['1', ...places].join(' + ')} END AS place
    FROM ${values} AS given, cuts)
  GROUP BY place), cuts
ORDER BY place`
}
