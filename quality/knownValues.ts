/**
 * Values that somebody knows stand in the rows where they must.
 *
 * A fixture is looked up by its keys and its event timestamp, to the microsecond, and only where that lies inside the
 * run's intervals. It is violated where there is no such row, or where one of them holds something else: another value
 * of the feature's own type, or, with a tolerance, a number further off.
 */
import type { Gate, KnownValue } from '../model/gate.ts'
import type { EpochMs, IntervalRange } from '../model/time.ts'
import { constant, constantProblem, instantMicros } from './constant.ts'
import type { GateContext, QualityGate } from './gate.ts'
import { counted, formatNumber } from './sentences.ts'
import { asText, featureOf, figure, instantText, quoteName, quoteText } from './sql.ts'

type KnownValues = Gate<string, 'known_values'>

export const knownValues: QualityGate<'known_values'> = {
  refuses: (type, { params }, feature) => {
    for (const known of params.fixtures.filter((one) => one.feature === feature)) {
      const problem = known.value === null ? null : constantProblem(known.value, type)
      if (problem !== null) return problem
    }
    return null
  },
  figures: (gate, context) => {
    const compared = comparison(gate, context)
    return {
      wrong:
        compared === null ? '0' : `(SELECT count(DISTINCT fixture) FROM ${compared} AS compared WHERE wrong)`,
    }
  },
  judge: (gate, figures, context) => {
    const [checked, wrong] = [insideRun(gate, context).length, figure(figures, 'wrong')]
    const known = counted(gate.params.fixtures.length, 'known value')
    const inside = `${formatNumber(checked)} of ${known} ${checked === 1 ? 'lies' : 'lie'} inside the run's intervals`
    return {
      ok: wrong === 0,
      sentence:
        checked === 0
          ? `${inside}, so none was checked`
          : `${inside}, ${formatNumber(wrong)} of them ${wrong === 1 ? 'is' : 'are'} not as known`,
      violationCount: wrong,
      figures: { ...figures, checked, known: gate.params.fixtures.length },
    }
  },
  violations: (gate, context) => {
    const compared = comparison(gate, context)
    if (compared === null) return null
    const keys = context.keys.map((key, at) => `key_${at} AS ${quoteName(key)}`)
    return `SELECT ${[...keys, `${instantText('instant')} AS event_timestamp`].join(', ')}, feature, expected, found
FROM ${compared} AS compared WHERE wrong ORDER BY fixture, found`
  },
}

function insideRun({ params }: KnownValues, { ranges }: GateContext): KnownValue[] {
  return params.fixtures.filter(({ at }) => ranges.some((range) => isInside(instantMicros(at), range)))
}

function isInside(micros: bigint, { from, to }: IntervalRange): boolean {
  const bound = (ms: EpochMs) => BigInt(ms) * 1000n
  return micros > bound(from) && micros <= bound(to)
}

/** One row a fixture and row found: what was expected, what was found, whether that is wrong. */
function comparison(gate: KnownValues, context: GateContext): string | null {
  const fixtures = insideRun(gate, context)
  if (fixtures.length === 0) return null
  const keyNames = context.keys.map((_, at) => `key_${at}`)
  const rows = fixtures.map(
    (known, at) => `(${[String(at), ...fixtureRow(known, gate, context)].join(', ')})`,
  )
  const keys = context.keys.map((key, at) => `CAST(staged.${quoteName(key)} AS VARCHAR) = known.key_${at}`)
  const each = (sqlOf: (known: KnownValue) => string) =>
    `CASE known.fixture ${fixtures.map((known, at) => `WHEN ${at} THEN ${sqlOf(known)}`).join(' ')} END`
  const found = each(({ feature }) => {
    const { column, type } = featureOf(gate, context, feature)
    return asText(`staged.${column}`, type)
  })
  const missing = 'staged.event_timestamp IS NULL'
  return `(SELECT known.*, CASE WHEN ${missing} THEN 'no row' ELSE ${found} END AS found,
      ${missing} OR ${each((known) => isWrong(known, gate, context))} AS wrong
    FROM (VALUES ${rows.join(', ')}) AS known(${['fixture', ...keyNames, 'instant', 'feature', 'expected'].join(', ')})
    LEFT JOIN ${context.staged} AS staged ON staged.event_timestamp = known.instant AND ${keys.join(' AND ')})`
}

function fixtureRow(
  { keys, at, feature, value }: KnownValue,
  gate: KnownValues,
  context: GateContext,
): string[] {
  const { type } = featureOf(gate, context, feature)
  return [
    ...context.keys.map((key) => quoteText(String(keys[key]))),
    `make_timestamptz(${instantMicros(at)})`,
    quoteText(feature),
    value === null ? 'CAST(NULL AS VARCHAR)' : asText(constant(value, type), type),
  ]
}

function isWrong({ feature, value, tolerance }: KnownValue, gate: KnownValues, context: GateContext): string {
  const { column, type } = featureOf(gate, context, feature)
  const found = `staged.${column}`
  if (value === null) return `${found} IS NOT NULL`
  const expected = constant(value, type)
  if (tolerance === undefined || tolerance === 0) return `${found} IS DISTINCT FROM ${expected}`
  // As DOUBLE, so that a difference of two integers does not overflow; NaN is above every tolerance.
  const apart = `abs(CAST(${found} AS DOUBLE) - CAST(${expected} AS DOUBLE))`
  return `coalesce(${apart} > CAST('${tolerance}' AS DOUBLE), true)`
}
