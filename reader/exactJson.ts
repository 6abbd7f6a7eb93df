/** JSON in which whole numbers keep all their digits: a key of 64 bits must not be taken for its neighbour. */
import { parse } from 'lossless-json'

/** Digits that a double may not hold; most bodies have no such run, and the engine's own parser is far quicker. */
const manyDigits = /\d{16}/

/** A whole number beyond the safe ones is a bigint. @throws SyntaxError */
export const parseExactJson = (text: string): unknown =>
  manyDigits.test(text) ? parse(text, null, exactNumber) : (JSON.parse(text) as unknown)

function exactNumber(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(text) ? value : BigInt(text)
}
