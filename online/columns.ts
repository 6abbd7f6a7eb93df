/**
 * Rows by column: how loads hand over many rows at once. Numbers lie in typed arrays, as they do in DuckDB's vectors, so
 * that a load of millions of them makes no object for any.
 */
import { InputError } from '../model/index.ts'
import { checkKeyCount } from './key.ts'
import type { FeatureValue, GroupCard, KeyValue, OnlineRow, ValueSchema } from './store.ts'

/** What a typed array holds in place of a null is not looked at. */
export interface NumberColumn<Items extends Float64Array | BigInt64Array> {
  readonly items: Items
  /** 1 where the value is null; null where none is. */
  readonly nulls: Uint8Array | null
}

/** Of float64 features as doubles, of int64 and timestamps as 64-bit integers; of any feature as plain values. */
export type FeatureColumn = NumberColumn<Float64Array> | NumberColumn<BigInt64Array> | readonly FeatureValue[]

export interface OnlineColumns {
  readonly length: number
  /** One column for each of the entity's keys. */
  readonly keys: readonly (readonly KeyValue[])[]
  /** Null for a tombstone. */
  readonly eventTimestampMicros: NumberColumn<BigInt64Array>
  /** In the order of the schema. */
  readonly features: readonly FeatureColumn[]
}

export type OnlineRows = readonly OnlineRow[] | OnlineColumns

export const isPlain = (column: FeatureColumn): column is readonly FeatureValue[] => Array.isArray(column)

const isRows = (rows: OnlineRows): rows is readonly OnlineRow[] => Array.isArray(rows)

/** @throws InputError where a row has too few or too many keys or values, or is half a tombstone */
export function columnsOf(
  { keys, schema: { features } }: Pick<GroupCard, 'keys' | 'schema'>,
  rows: OnlineRows,
): OnlineColumns {
  if (!isRows(rows)) return rows
  const items = new BigInt64Array(rows.length)
  const nulls = new Uint8Array(rows.length)
  for (const [at, row] of rows.entries()) {
    checkKeyCount(keys, row.keys)
    checkRow(features, row)
    if (row.eventTimestampMicros === null) nulls[at] = 1
    else items[at] = checkInt64(row.eventTimestampMicros, 'event_timestamp')
  }
  return {
    length: rows.length,
    keys: keys.map((_, at) => rows.map((row) => row.keys[at] as KeyValue)),
    eventTimestampMicros: { items, nulls },
    features: features.map((_, at) => rows.map(({ values }) => values?.[at] ?? null)),
  }
}

/** A batch's rows one by one, for whoever needs no speed. */
export function* eachRow(columns: OnlineColumns): Generator<OnlineRow> {
  const { length, keys, eventTimestampMicros, features } = columns
  for (let row = 0; row < length; row++) {
    const micros = numberAt(eventTimestampMicros, row)
    yield {
      keys: keys.map((column) => column[row] as KeyValue),
      eventTimestampMicros: micros as bigint | null,
      values: micros === null ? null : features.map((column) => valueAt(column, row)),
    }
  }
}

export const valueAt = (column: FeatureColumn, row: number): FeatureValue =>
  isPlain(column) ? (column[row] ?? null) : numberAt(column, row)

function numberAt(
  { items, nulls }: NumberColumn<Float64Array> | NumberColumn<BigInt64Array>,
  row: number,
): number | bigint | null {
  return nulls?.[row] === 1 ? null : (items[row] ?? null)
}

/** @throws InputError where values are too few, too many or half a tombstone */
export function checkRow(
  features: ValueSchema['features'],
  { keys, values, eventTimestampMicros }: OnlineRow,
): void {
  if ((values === null) !== (eventTimestampMicros === null)) {
    throw new InputError(
      `entity ${keys.join('|')}: values and event timestamp are null together (a tombstone) or not at all.`,
    )
  }
  if (values !== null && values.length !== features.length) {
    throw new InputError(
      `entity ${keys.join('|')}: ${values.length} values for ${features.length} features (${features.map(({ name }) => name).join(', ')}). Pass one value per feature, null where there is none.`,
    )
  }
}

/** @throws InputError where a whole number does not fit into 64 bits */
export function checkInt64(value: bigint, name: string): bigint {
  if (BigInt.asIntN(64, value) !== value) {
    throw new InputError(`feature ${name}: ${value} does not fit into 64 bits.`, { feature: name })
  }
  return value
}
