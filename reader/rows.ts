/** From columns of entity keys to the key texts under which a group is asked. */
import { InputError } from '../model/index.ts'
import { keyText, parseKeyText, type KeyColumns, type KeyValue } from '../online/index.ts'
import { shown, type AskedRows } from './body.ts'
import { columnOf, type Lookup } from './plan.ts'

/** The keys that one lookup asks for. */
export interface AskedKeys {
  readonly texts: readonly string[]
  /** By row, the place of its key among them, or -1 where a key is null; null where every row is at its own place. */
  readonly places: Int32Array | null
}

/**
 * A row with a null key finds nothing, as in a training set.
 *
 * @throws InputError that names the column, the row and the cure
 */
export function askedKeys(columns: KeyColumns, lookup: Lookup, rows: AskedRows): AskedKeys {
  const values = columns.map(({ name }) => columnFor(lookup, columnOf(lookup, name), rows))
  const texts: string[] = []
  let places: Int32Array | null = null
  for (let row = 0; row < rows.count; row++) {
    const text = rowText(columns, lookup, values, row)
    if (text === null && places === null) places = Int32Array.from({ length: rows.count }, (_, at) => at)
    if (places !== null) places[row] = text === null ? -1 : texts.length
    if (text !== null) texts.push(text)
  }
  return { texts, places }
}

function columnFor({ group }: Lookup, column: string, { entities }: AskedRows): readonly unknown[] {
  const values = entities.get(column)
  if (values !== undefined) return values
  const there = [...entities.keys()].map((name) => JSON.stringify(name)).join(', ') || 'none'
  throw new InputError(
    `entities lacks ${JSON.stringify(column)}, by which feature group ${group} is looked up. It has ${there}.`,
    { column, group },
  )
}

function rowText(
  columns: KeyColumns,
  lookup: Lookup,
  values: readonly (readonly unknown[])[],
  row: number,
): string | null {
  const keys: KeyValue[] = []
  try {
    for (const [at, column] of columns.entries()) {
      const key = keyValue(column, values[at]?.[row])
      if (key === null) return null
      keys.push(key)
    }
    return keyText(columns, keys)
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    const names = columns.map(({ name }) => columnOf(lookup, name)).join(', ')
    throw new InputError(`entities, ${names}, row ${row + 1}: ${error.message}`, error.context)
  }
}

/** An integer may come as its digits: JSON's numbers end at 2^53 for many who write them. */
function keyValue(column: KeyColumns[number], value: unknown): KeyValue | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') {
    return column.type === 'string' ? value : (parseKeyText([column], value)[0] as KeyValue)
  }
  if (column.type === 'string') {
    throw new InputError(`key ${column.name}: ${shown(value)} is no string. Send it in quotes.`)
  }
  if (typeof value === 'number' || typeof value === 'bigint') return value
  throw new InputError(
    `key ${column.name}: ${shown(value)} is no ${column.type}. Send a whole number, or its digits as a string.`,
  )
}
