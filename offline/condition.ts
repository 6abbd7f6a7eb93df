/** Conditions as SQL, with SQL's three-valued logic. */
import { quoteLiteral } from '../iceberg/duckdb/quote.ts'
import type { Condition, Literal } from '../model/condition.ts'
import { InputError } from '../model/errors.ts'
import { classOf, isNumeric } from './columnType.ts'
import { sqlColumn } from './sqlCondition.ts'

/** A column of the source as SQL, and its DuckDB type. */
export interface ColumnSql {
  readonly sql: string
  readonly type: string
}
/** @throws InputError for a column that the source does not have. */
export type ColumnLookup = (name: string) => ColumnSql

const operators = { eq: '=', ne: '<>', gt: '>', ge: '>=', lt: '<', le: '<=' } as const

/**
 * A condition as SQL in brackets. A fraction is compared as float64, so a float32 column is compared by its exact value.
 *
 * @throws InputError for a literal that does not fit its column; DuckDB would quietly convert one of the two.
 */
export function conditionSql(condition: Condition, column: ColumnLookup): string {
  switch (condition.op) {
    case 'and':
    case 'or': {
      const parts = condition.conditions.map((part) => conditionSql(part, column))
      return parts.length === 0
        ? `(${condition.op === 'and'})`
        : `(${parts.join(` ${condition.op.toUpperCase()} `)})`
    }
    case 'not':
      return `(NOT ${conditionSql(condition.condition, column)})`
    case 'sql':
      return sqlColumn(condition.sql)
    case 'is_null':
      return `(${column(condition.column).sql} IS NULL)`
    case 'is_not_null':
      return `(${column(condition.column).sql} IS NOT NULL)`
    case 'in': {
      const { sql, type } = column(condition.column)
      const values = condition.values.map((value) => literalSql(value, condition.column, type))
      return values.length === 0 ? '(false)' : `(${sql} IN (${values.join(', ')}))`
    }
    default: {
      const { sql, type } = column(condition.column)
      return `(${sql} ${operators[condition.op]} ${literalSql(condition.value, condition.column, type)})`
    }
  }
}

function literalSql(value: Literal, column: string, type: string): string {
  const fits =
    typeof value === 'string'
      ? classOf(type) === 'text'
      : typeof value === 'boolean'
        ? classOf(type) === 'boolean'
        : isNumeric(type)
  if (!fits) {
    throw new InputError(
      `column ${column} is ${type} and cannot be compared with the ${typeof value} ${typeof value === 'string' ? JSON.stringify(value) : String(value)}. Compare it with a value of its own type.`,
      { column, type },
    )
  }
  if (typeof value === 'string') return quoteLiteral(value)
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return `CAST('${value}' AS DOUBLE)`
  return `(${value})`
}
