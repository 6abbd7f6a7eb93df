/**
 * A batch of rows as a store writes them: keys and values, either one behind the other in one piece of memory, since a
 * buffer for each would cost more than its bytes.
 */
import { columnsOf, type OnlineRows } from './columns.ts'
import { keyText, storageKey } from './key.ts'
import { valuesName } from './slotId.ts'
import type { GroupCard, KeyValue } from './store.ts'
import { encodeValues, type EncodedValues } from './value.ts'

const guessedKeyBytes = 64

export class EncodedRows {
  readonly length: number
  readonly #keys: EncodedValues
  readonly #values: EncodedValues

  /**
   * @param store the store's name
   * @param order of the load, as `encodeOrder` writes it
   * @param nameOf what stands for a key text in the store's keys
   * @throws InputError where a row cannot be stored; the message names the feature or the key
   */
  constructor(
    store: string,
    card: Pick<GroupCard, 'group' | 'keys' | 'schema'>,
    order: Buffer,
    rows: OnlineRows,
    nameOf = (text: string) => text,
  ) {
    const columns = columnsOf(card, rows)
    this.length = columns.length
    const prefix = storageKey(store, valuesName(card.group), '')
    this.#keys = encodeKeys(prefix, card.keys, columns.keys, columns.length, nameOf)
    this.#values = encodeValues(card.schema, order, columns)
  }

  key(index: number): Buffer {
    return pieceOf(this.#keys, index)
  }

  value(index: number): Buffer {
    return pieceOf(this.#values, index)
  }

  keyLength(index: number): number {
    return lengthOf(this.#keys, index)
  }

  valueLength(index: number): number {
    return lengthOf(this.#values, index)
  }

  /** Writes a key at `at`; a buffer of its own for every piece would cost more than to copy it. */
  copyKey(index: number, target: Buffer, at: number): void {
    copyPiece(this.#keys, index, target, at)
  }

  copyValue(index: number, target: Buffer, at: number): void {
    copyPiece(this.#values, index, target, at)
  }

  /** Whether a row's key is greater than that of the row before it. */
  isInOrder(index: number): boolean {
    const { bytes, ends } = this.#keys
    const between = ends[index - 1] as number
    return bytes.compare(bytes, ends[index - 2] ?? 0, between, between, ends[index]) > 0
  }
}

const pieceOf = ({ bytes, ends }: EncodedValues, index: number): Buffer =>
  bytes.subarray(ends[index - 1] ?? 0, ends[index])

const lengthOf = ({ ends }: EncodedValues, index: number): number =>
  (ends[index] ?? 0) - (ends[index - 1] ?? 0)

function copyPiece({ bytes, ends }: EncodedValues, index: number, target: Buffer, at: number): void {
  bytes.copy(target, at, ends[index - 1] ?? 0, ends[index])
}

function encodeKeys(
  prefix: string,
  columns: GroupCard['keys'],
  values: readonly (readonly KeyValue[])[],
  length: number,
  nameOf: (text: string) => string,
): EncodedValues {
  const start = Buffer.from(prefix)
  const ends = new Uint32Array(length)
  let bytes: Buffer = Buffer.allocUnsafeSlow(length * guessedKeyBytes)
  const keys: KeyValue[] = []
  let at = 0
  for (let row = 0; row < length; row++) {
    for (let key = 0; key < values.length; key++) keys[key] = values[key]?.[row] as KeyValue
    const text = nameOf(keyText(columns, keys))
    // A unit of UTF-16 takes at most three bytes.
    bytes = withRoom(bytes, at, start.length + 3 * text.length)
    bytes.set(start, at)
    at += start.length
    at += bytes.write(text, at, 'utf8')
    ends[row] = at
  }
  return { bytes, ends }
}

/** The bytes with room for so many more behind `used`, moved where they lacked it. */
function withRoom(bytes: Buffer, used: number, more: number): Buffer {
  if (used + more <= bytes.length) return bytes
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * bytes.length, used + more))
  bytes.copy(larger, 0, 0, used)
  return larger
}
