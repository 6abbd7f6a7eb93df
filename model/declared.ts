/**
 * Declared features: those of query and map groups, whose type no column gives away.
 *
 * @example
 * features: { delay_trend_7d: feature('float64', { description: 'Minutes a day', default: 0 }) }
 */
import type { ValueOf, Valued } from './answers.ts'
import type { FeatureDefault, FeatureType } from './feature.ts'

/** `Value` is what it is served as: never null where it has a default. */
export interface DeclaredFeature<
  Type extends FeatureType = FeatureType,
  out Value = ValueOf<Type> | null,
> extends Valued<Value> {
  readonly kind: 'declared'
  readonly type: Type
  readonly description?: string
  /** Stands for every value that is not present, in serving and in training alike. */
  readonly default?: FeatureDefault
}

/** A feature of a query or map group: its name is a column of the query's result or a field of the function's. */
export function feature<const Type extends FeatureType>(
  type: Type,
  options: { description?: string; default: FeatureDefault },
): DeclaredFeature<Type, ValueOf<Type>>
export function feature<const Type extends FeatureType>(
  type: Type,
  options?: { description?: string; default?: FeatureDefault },
): DeclaredFeature<Type>
export function feature<const Type extends FeatureType>(
  type: Type,
  options: { description?: string; default?: FeatureDefault } = {},
): DeclaredFeature<Type, never> {
  return { kind: 'declared', type, ...options }
}
