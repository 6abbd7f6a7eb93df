/**
 * Every value that is not null lies within two bounds, both included; NaN lies nowhere.
 *
 * Bounds are compared in the feature's own type, so that an int64 beyond 2^53 is not rounded on the way and a float32
 * of 0.1 is not above 0.1.
 */
import type { FeatureType } from '../model/feature.ts'
import type { Gate } from '../model/gate.ts'
import type { GateContext, QualityGate } from './gate.ts'
import { counted, formatNumber } from './sentences.ts'
import { featureOf, figure, offendingRows } from './sql.ts'

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

export const inRange: QualityGate<'in_range'> = {
  refuses: (type) => (isInteger(type) || isFloat(type) ? null : `it needs a number, not a ${type}`),
  figures: (gate, context) => {
    const { column, type } = featureOf(gate, context)
    const value = `staged.${column}`
    const finite = isFloat(type) ? ` FILTER (isfinite(${value}))` : ''
    return {
      values: `count(${value})`,
      outside: `count(*) FILTER (${outside(gate, context)})`,
      nan: isFloat(type) ? `count(*) FILTER (isnan(${value}))` : '0',
      lowest: `CAST(min(${value})${finite} AS DOUBLE)`,
      highest: `CAST(max(${value})${finite} AS DOUBLE)`,
    }
  },
  judge: (gate, figures) => {
    const [values, count] = [figure(figures, 'values'), figure(figures, 'outside')]
    const { min, max } = gate.params
    const nan = figure(figures, 'nan')
    const { lowest, highest } = figures
    const spread =
      typeof lowest === 'number' && typeof highest === 'number'
        ? `; finite values run from ${formatNumber(lowest)} to ${formatNumber(highest)}`
        : ''
    return {
      ok: count === 0,
      sentence: `${formatNumber(count)} of ${counted(values, 'value')} outside ${formatNumber(min)} to ${formatNumber(max)}${nan > 0 ? `, ${formatNumber(nan)} of them NaN` : ''}${spread}`,
      violationCount: count,
      figures: { ...figures, min, max },
    }
  },
  violations: (gate, context) => offendingRows(gate, context, outside(gate, context)),
}

function isInteger(type: FeatureType): boolean {
  return type === 'int32' || type === 'int64'
}

function isFloat(type: FeatureType): boolean {
  return type === 'float32' || type === 'float64'
}

/** Null meets no comparison, and DuckDB orders NaN above infinity, so the upper bound refuses it. */
function outside(gate: Gate<string, 'in_range'>, context: GateContext): string {
  const { column, type } = featureOf(gate, context)
  const { min, max } = gate.params
  const value = `staged.${column}`
  if (isInteger(type)) {
    // Of the whole numbers, those within fractional bounds are those within the bounds rounded inwards.
    return `${value} < ${integerBound(Math.ceil(min))} OR ${value} > ${integerBound(Math.floor(max))}`
  }
  return `${value} < ${floatBound(min, type)} OR ${value} > ${floatBound(max, type)}`
}

/** Bounds are HUGEINT: a bound beyond int64 is still a bound, one step outside of it. */
function integerBound(bound: number): string {
  const within = (value: bigint) =>
    value < int64.min ? int64.min - 1n : value > int64.max ? int64.max + 1n : value
  const exact = Number.isFinite(bound) ? within(BigInt(bound)) : bound > 0 ? int64.max + 1n : int64.min - 1n
  return `CAST('${exact}' AS HUGEINT)`
}

function floatBound(bound: number, type: FeatureType): string {
  return type === 'float32' ? `CAST('${Math.fround(bound)}' AS FLOAT)` : `CAST('${bound}' AS DOUBLE)`
}
