/** MessagePack, written piece by piece: what is stored is copied as it is, the rest is packed by msgpackr. */
import { Packr } from 'msgpackr'

const packr = new Packr({ useRecords: false, mapsAsObjects: true })

/** A small value of an answer's head. Never a feature: those keep their types. */
export const packed = (value: unknown): Buffer => packr.pack(value)

/** Room for most answers at once; larger ones double it. */
const firstSize = 65_536
/** What is kept for the next answer. */
const mostKept = 1 << 20

/** Memory for the answer that is being written: a buffer of guessed size for each would keep V8 collecting garbage. */
let kept: Buffer | null = Buffer.allocUnsafeSlow(firstSize)

export class Packer {
  /** What is written lies in front of `at`; `room` may put another buffer in this one's place. */
  bytes: Buffer
  at = 0

  constructor() {
    this.bytes = kept ?? Buffer.allocUnsafeSlow(firstSize)
    kept = null
  }

  /** Makes sure that so many more bytes can be written. */
  room(more: number): void {
    if (this.at + more <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.at + more))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
  }

  raw(bytes: Buffer): void {
    this.room(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  value(value: unknown): void {
    this.raw(packed(value))
  }

  /** A map of an answer's head, `as_of` as an instant, and the name of what follows as its last pair. */
  head(head: object & { readonly as_of: string }, last: string): void {
    const pairs = Object.entries<unknown>({ ...head, as_of: BigInt(Date.parse(head.as_of)) * 1000n })
    this.map(pairs.length + 1)
    for (const [name, value] of pairs) {
      this.value(name)
      this.value(value)
    }
    this.value(last)
  }

  array(length: number): void {
    this.header(0x90, 0xdc, length)
  }

  /** Of so many pairs of key and value. */
  map(length: number): void {
    this.header(0x80, 0xde, length)
  }

  private header(short: number, long: number, length: number): void {
    this.room(5)
    const { bytes, at } = this
    if (length < 16) this.at = bytes.writeUInt8(short | length, at)
    else if (length < 0x1_0000) this.at = bytes.writeUInt16BE(length, bytes.writeUInt8(long, at))
    else this.at = bytes.writeUInt32BE(length, bytes.writeUInt8(long + 1, at))
  }

  /** Null is nil. */
  int64(value: bigint | null): void {
    this.room(9)
    if (value === null) this.at = this.bytes.writeUInt8(0xc0, this.at)
    else this.at = this.bytes.writeBigInt64BE(value, this.bytes.writeUInt8(0xd3, this.at))
  }

  /** What was written, in memory of its own. The packer must not be used any more. */
  done(): Buffer {
    const { bytes, at } = this
    const written = Buffer.from(bytes.subarray(0, at))
    if (bytes.length <= mostKept) kept = bytes
    return written
  }
}
