/**
 * A batch of rows as a store writes them: keys and values one behind the other in one piece of memory, since a buffer for
 * each would cost more than its bytes.
 */
import { keyText, storageKey } from './key.ts'
import type { GroupCard, OnlineRow } from './store.ts'
import { sizeOfRow, writeRow } from './value.ts'

const guessedRowBytes = 160

export class EncodedRows {
  readonly length: number
  readonly #bytes: Buffer
  /** Where a row's key and value end, by turns. */
  readonly #ends: Uint32Array

  /**
   * @param store the store's name
   * @throws InputError where a row cannot be stored; the message names the feature or the key
   */
  constructor(
    store: string,
    card: Pick<GroupCard, 'group' | 'keys' | 'schema'>,
    order: Buffer,
    rows: readonly OnlineRow[],
  ) {
    this.length = rows.length
    this.#ends = new Uint32Array(2 * rows.length)
    const prefix = Buffer.from(storageKey(store, card.group, ''))
    let bytes: Buffer = Buffer.allocUnsafeSlow(rows.length * guessedRowBytes)
    let at = 0
    for (let index = 0; index < rows.length; index++) {
      const row = plainRow(rows[index] as OnlineRow)
      const text = keyText(card.keys, row.keys)
      // A unit of UTF-16 takes at most three bytes.
      bytes = withRoom(bytes, at, prefix.length + 3 * text.length + sizeOfRow(card.schema, row))
      bytes.set(prefix, at)
      at += prefix.length
      at += bytes.write(text, at, 'utf8')
      this.#ends[2 * index] = at
      at = writeRow(card.schema, order, row, bytes, at)
      this.#ends[2 * index + 1] = at
    }
    this.#bytes = bytes
  }

  key(index: number): Buffer {
    return this.#bytes.subarray(this.#keyStart(index), this.#ends[2 * index])
  }

  /** Whether a row's key is greater than that of the row before it. */
  isInOrder(index: number): boolean {
    const [start, end] = [this.#keyStart(index), this.#ends[2 * index]]
    const [startBefore, endBefore] = [this.#keyStart(index - 1), this.#ends[2 * index - 2]]
    return this.#bytes.compare(this.#bytes, startBefore, endBefore, start, end) > 0
  }

  value(index: number): Buffer {
    return this.#bytes.subarray(this.#ends[2 * index], this.#ends[2 * index + 1])
  }

  #keyStart(index: number): number {
    return this.#ends[2 * index - 1] ?? 0
  }
}

/** A row's properties, each asked for once. */
const plainRow = ({ keys, eventTimestampMicros, values }: OnlineRow): OnlineRow => ({
  keys,
  eventTimestampMicros,
  values,
})

/** The bytes with room for so many more behind `used`, moved where they lacked it. */
function withRoom(bytes: Buffer, used: number, more: number): Buffer {
  if (used + more <= bytes.length) return bytes
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * bytes.length, used + more))
  bytes.copy(larger, 0, 0, used)
  return larger
}
