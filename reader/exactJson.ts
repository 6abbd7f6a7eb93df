/** JSON in which whole numbers keep all their digits: a key of 64 bits must not be taken for its neighbour. */
import { parse } from 'lossless-json'

/**
 * A whole number of so many digits that a double may not hold it; the engine's own parser is far quicker, and most bodies
 * have none. Digits in a string follow a quote or another character of it; what looks like a number there costs time and
 * changes nothing.
 */
const manyDigits = /(?<=[[,:\s-])\d{16}/

/** A whole number beyond the safe ones is a bigint. @throws SyntaxError */
export const parseExactJson = (text: string): unknown =>
  manyDigits.test(text) ? parse(text, null, exactNumber) : (JSON.parse(text) as unknown)

function exactNumber(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(text) ? value : BigInt(text)
}
