/**
 * JSON whose integers keep all their digits: beyond 2^53 they are bigints, since snapshot ids have 63 bits.
 *
 *     parseJson('{"snapshot-id":1111124177446421187}')   // { 'snapshot-id': 1111124177446421187n }
 *     stringifyJson({ count: 3n })                       // '{"count":3}'
 */
import { randomUUID } from 'node:crypto'
import { InvalidInput } from './singleValue.ts'

/** Stands before the digits of a bigint while they travel as a string; no text of a file can hold it by chance. */
const mark = `bigint:${randomUUID()}:`
const stringOrLongInteger = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{16,}(?![\d.eE])/g
const markedDigits = new RegExp(`"${mark}(-?\\d+)"`, 'g')

/** @throws SyntaxError where the text is no JSON */
export function parseJson(text: string): unknown {
  let found = false
  const marked = text.replace(stringOrLongInteger, (token, offset: number) => {
    const isFraction =
      text[offset - 1] === '.' || /[eE][+-]?$/.test(text.slice(Math.max(0, offset - 2), offset))
    if (token.startsWith('"') || isFraction || Number.isSafeInteger(Number(token))) return token
    found = true
    return `"${mark}${token}"`
  })
  if (!found) return JSON.parse(text)
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  )
}

/** Bigints become plain integers. What JSON would silently empty (maps, sets, bytes) is refused. */
export function stringifyJson(value: unknown): string {
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key, replaced: unknown) {
    // Before toJSON, which Buffers have.
    const item = this[key]
    if (typeof item === 'bigint') return `${mark}${item}`
    if (item instanceof Map || item instanceof Set || ArrayBuffer.isView(item)) {
      throw new InvalidInput(
        `JSON cannot hold ${JSON.stringify(key)}, a ${item.constructor.name}. Turn it into an array or an object first (data files: dataFileToJson).`,
      )
    }
    return replaced
  })
  return text.replace(markedDigits, '$1')
}
