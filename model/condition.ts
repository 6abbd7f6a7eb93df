/** Conditions on the columns of a source, as data. They compile to SQL and follow its three-valued logic. */
export type Literal = string | number | bigint | boolean

export type Condition =
  | { readonly op: 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le'; readonly column: string; readonly value: Literal }
  | { readonly op: 'in'; readonly column: string; readonly values: readonly Literal[] }
  | { readonly op: 'is_null' | 'is_not_null'; readonly column: string }
  | { readonly op: 'and' | 'or'; readonly conditions: readonly Condition[] }
  | { readonly op: 'not'; readonly condition: Condition }
  | { readonly op: 'sql'; readonly sql: string }

const compare =
  (op: 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le') =>
  (column: string, value: Literal): Condition => ({ op, column, value })

export const eq = compare('eq')
export const ne = compare('ne')
export const gt = compare('gt')
export const ge = compare('ge')
export const lt = compare('lt')
export const le = compare('le')
export const isIn = (column: string, values: readonly Literal[]): Condition => ({ op: 'in', column, values })
export const isNull = (column: string): Condition => ({ op: 'is_null', column })
export const isNotNull = (column: string): Condition => ({ op: 'is_not_null', column })
export const and = (...conditions: readonly Condition[]): Condition => ({ op: 'and', conditions })
export const or = (...conditions: readonly Condition[]): Condition => ({ op: 'or', conditions })
export const not = (condition: Condition): Condition => ({ op: 'not', condition })

/**
 * A condition in SQL, for what the others cannot say: `sql("lower(city) = 'rome' AND price * quantity > 100")`. It names
 * columns of the source and is judged by DuckDB when the group is registered; it may not depend on anything but the row.
 */
export const sql = (text: string): Condition => ({ op: 'sql', sql: text })

/** Every column that the condition names; what its SQL reads, only DuckDB can tell. */
export function columnsOf(condition: Condition): string[] {
  switch (condition.op) {
    case 'and':
    case 'or':
      return condition.conditions.flatMap(columnsOf)
    case 'not':
      return columnsOf(condition.condition)
    case 'sql':
      return []
    default:
      return [condition.column]
  }
}

/** Every text of SQL in the condition. */
export function sqlTextsOf(condition: Condition): string[] {
  switch (condition.op) {
    case 'and':
    case 'or':
      return condition.conditions.flatMap(sqlTextsOf)
    case 'not':
      return sqlTextsOf(condition.condition)
    case 'sql':
      return [condition.sql]
    default:
      return []
  }
}
