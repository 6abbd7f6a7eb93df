/**
 * Columns that a table gains: a new schema with fresh field ids. Files written before read null there, and no file is
 * touched. Decided purely, on a state of the table; null means that nothing is left to do.
 */
import { currentSchema } from './appendFiles.ts'
import type { Attempt } from './commitRetrying.ts'
import type { TableMetadata } from './metadata.ts'
import { sameTable } from './refs.ts'
import type { Column } from './schema.ts'
import { InvalidInput } from './singleValue.ts'
import type { IcebergType, NestedField } from './types.ts'

/**
 * One that is there already, with the same type, is fine.
 * @throws InvalidInput for a column that rows which are there cannot have, or whose name is taken
 */
export function addColumns(metadata: TableMetadata, columns: readonly Column[]): Attempt | null {
  const schema = currentSchema(metadata)
  const missing = columns.filter((column) => !isThere(schema.fields, column))
  if (missing.length === 0) return null
  let lastId = metadata['last-column-id']
  const fields = missing.map(({ name, type, required, doc }): NestedField => {
    if (required === true) {
      throw new InvalidInput(
        `Column ${JSON.stringify(name)} cannot be required: the rows that are there have no value for it. Leave it optional.`,
      )
    }
    const id = ++lastId
    const withId: IcebergType = typeof type === 'string' ? type : { ...type, 'element-id': ++lastId }
    return { id, name, required: false, type: withId, ...(doc === undefined ? {} : { doc }) }
  })
  const schemaId = Math.max(...metadata.schemas.map((known) => known['schema-id'])) + 1
  return {
    requirements: [
      sameTable(metadata),
      { type: 'assert-current-schema-id', 'current-schema-id': schema['schema-id'] },
    ],
    updates: [
      {
        action: 'add-schema',
        schema: { ...schema, 'schema-id': schemaId, fields: [...schema.fields, ...fields] },
      },
      { action: 'set-current-schema', 'schema-id': -1 },
    ],
  }
}

/** DuckDB does not tell `A` from `a`, so neither may two columns. */
function isThere(fields: readonly NestedField[], column: Column): boolean {
  const there = fields.find(({ name }) => name.toLowerCase() === column.name.toLowerCase())
  if (there === undefined) return false
  if (there.name === column.name && typeText(there.type) === typeText(column.type)) return true
  throw new InvalidInput(
    `The table has a column ${there.name} of type ${typeText(there.type)} already; ${column.name} of type ${typeText(column.type)} cannot be added. Give it another name.`,
  )
}

const typeText = (type: Column['type']) => (typeof type === 'string' ? type : `list<${type.element}>`)
