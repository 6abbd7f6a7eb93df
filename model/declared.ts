/**
 * Declared features: those of query and map groups, whose type no column gives away.
 *
 * @example
 * features: { delay_trend_7d: feature('float64', { description: 'Minutes a day', default: 0 }) }
 */
import type { FeatureDefault, FeatureType } from './feature.ts'

export interface DeclaredFeature<Type extends FeatureType = FeatureType> {
  readonly kind: 'declared'
  readonly type: Type
  readonly description?: string
  /** Stands for every value that is not present, in serving and in training alike. */
  readonly default?: FeatureDefault
}

/** A feature of a query or map group: its name is a column of the query's result or a field of the function's. */
export const feature = <const Type extends FeatureType>(
  type: Type,
  options: { description?: string; default?: FeatureDefault } = {},
): DeclaredFeature<Type> => ({ kind: 'declared', type, ...options })
