/**
 * A batch of rows as a store writes them: keys and values one behind the other in one piece of memory, since a buffer for
 * each would cost more than its bytes.
 */
import { keyText, storageKey } from './key.ts'
import type { GroupCard, OnlineRow } from './store.ts'
import { sizeOfRow, writeRow } from './value.ts'

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
    const keys = rows.map((row) => storageKey(store, card.group, keyText(card.keys, row.keys)))
    let size = 0
    for (const [index, row] of rows.entries()) {
      size += Buffer.byteLength(keys[index] as string) + sizeOfRow(card.schema, row)
    }
    this.length = rows.length
    this.#bytes = Buffer.allocUnsafeSlow(size)
    this.#ends = new Uint32Array(2 * rows.length)
    let at = 0
    for (const [index, row] of rows.entries()) {
      at += this.#bytes.write(keys[index] as string, at, 'utf8')
      this.#ends[2 * index] = at
      at = writeRow(card.schema, order, row, this.#bytes, at)
      this.#ends[2 * index + 1] = at
    }
  }

  key(index: number): Buffer {
    return this.#bytes.subarray(this.#ends[2 * index - 1] ?? 0, this.#ends[2 * index])
  }

  value(index: number): Buffer {
    return this.#bytes.subarray(this.#ends[2 * index], this.#ends[2 * index + 1])
  }
}
