/**
 * Commands as the bytes that Redis reads (RESP): `*<count>`, then `$<length>` and the bytes of each argument. ioredis looks
 * at every argument several times, which costs more than all else where a command has hundreds of them.
 */
import type { EncodedRows } from './encodedRows.ts'

/** A command whose arguments are texts. */
export function requestOf(command: string, texts: readonly string[]): string {
  let request = `*${texts.length + 1}\r\n${bulk(command)}`
  for (const text of texts) request += bulk(text)
  return request
}

const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`

/** A run of rows. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** The next rows whose call stays within both bounds; one row at least. */
export function nextStretch(rows: EncodedRows, from: number, most: { keys: number; bytes: number }): Stretch {
  const last = Math.min(from + most.keys, rows.length)
  let bytes = 0
  let to = from
  do {
    bytes += rows.keyLength(to) + rows.valueLength(to)
    to++
  } while (to < last && bytes < most.bytes)
  return { from, to }
}

/** A call of a script whose keys are `key` and those of a stretch of rows, its arguments `args` and their values. */
export function scriptRequest(
  sha: string,
  key: string,
  args: readonly (string | Buffer)[],
  rows: EncodedRows,
  { from, to }: Stretch,
): Buffer {
  const count = to - from
  const head = Buffer.from(
    `*${4 + args.length + 2 * count}\r\n${bulk('EVALSHA')}${bulk(sha)}${bulk(String(1 + count))}${bulk(key)}`,
  )
  const between = Buffer.concat(
    args.flatMap((arg) => [Buffer.from(`$${arg.length}\r\n`), Buffer.from(arg), lineEnd]),
  )
  let size = head.length + between.length
  for (let row = from; row < to; row++) size += sizeOf(rows.keyLength(row)) + sizeOf(rows.valueLength(row))
  const request = Buffer.allocUnsafeSlow(size)
  head.copy(request)
  let at = head.length
  for (let row = from; row < to; row++) {
    const length = rows.keyLength(row)
    at = writeLength(request, at, length)
    rows.copyKey(row, request, at)
    at = writeLineEnd(request, at + length)
  }
  between.copy(request, at)
  at += between.length
  for (let row = from; row < to; row++) {
    const length = rows.valueLength(row)
    at = writeLength(request, at, length)
    rows.copyValue(row, request, at)
    at = writeLineEnd(request, at + length)
  }
  return request
}

const lineEnd = Buffer.from('\r\n')
const [dollar, zero, carriageReturn, lineFeed] = [0x24, 0x30, 0x0d, 0x0a]

/** Of an argument with what stands around it. */
const sizeOf = (length: number) => length + digitsOf(length) + 5

function digitsOf(length: number): number {
  let digits = 1
  for (let rest = length; rest > 9; rest = Math.floor(rest / 10)) digits++
  return digits
}

function writeLength(request: Buffer, at: number, length: number): number {
  request[at] = dollar
  const end = at + 1 + digitsOf(length)
  let rest = length
  for (let digit = end - 1; digit > at; digit--) {
    request[digit] = zero + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  return writeLineEnd(request, end)
}

function writeLineEnd(request: Buffer, at: number): number {
  request[at] = carriageReturn
  request[at + 1] = lineFeed
  return at + 2
}
