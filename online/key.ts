/**
 * Keys: how an entity is written, in the stores and over HTTP alike.
 *
 * An entity's *key text* is its join keys in the entity's order, joined with `|`: `ATL`, `ATL|JFK`, `42|web`. In a
 * string key `\`, `|` and `,` are written `\\`, `\|` and `\,`, and an empty string is written `\e`; integers are
 * written in decimal, with no leading zeros and no plus sign. So one entity has exactly one text, no two entities share
 * one, and no text is empty: a list of them, joined with commas, can be taken apart again.
 *
 * A store keeps a value under `<store>:<group>:<key text>`. Neither of the first two can hold a colon.
 */
import { InputError, type KeyType } from '../model/index.ts'
import type { KeyValue } from './store.ts'

export type KeyColumns = readonly { readonly name: string; readonly type: KeyType }[]

/** Below the limit of every store (LMDB: 1,978 bytes for the whole key). */
export const maxKeyTextBytes = 1024

const bounds: Record<Exclude<KeyType, 'string'>, readonly [least: bigint, greatest: bigint]> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
}

/** The key text of an entity. @throws InputError where keys are missing, of another type or too long. */
export function keyText(columns: KeyColumns, keys: readonly KeyValue[]): string {
  checkKeyCount(columns, keys)
  const parts = columns.map((column, index) => partText(column, keys[index] as KeyValue))
  const text = parts.length === 1 ? (parts[0] as string) : parts.join('|')
  checkLength(text)
  return text
}

/** The keys that a key text stands for; int64 as bigint, int32 as number. @throws InputError with the cure. */
export function parseKeyText(columns: KeyColumns, text: string): KeyValue[] {
  checkLength(text)
  const parts = splitUnescaped(text, '|')
  checkCount(columns, parts.length, () => text)
  return columns.map((column, index) => parsePart(column, parts[index] as string))
}

/** Takes a comma-separated list of key texts apart. Escapes stay as they are, for `parseKeyText`. */
export function splitKeyTexts(list: string): string[] {
  return splitUnescaped(list, ',')
}

/** Under which key a store keeps an entity's value; with an empty `text`, what all keys of the group start with. */
export function storageKey(store: string, group: string, text: string): string {
  return `${store}:${group}:${text}`
}

/** The opposite of `storageKey`. */
export function parseStorageKey(key: string): { store: string; group: string; text: string } {
  const first = key.indexOf(':')
  const second = key.indexOf(':', first + 1)
  if (first < 0 || second < 0) throw new InputError(`${JSON.stringify(key)} is no key of an online store.`)
  return { store: key.slice(0, first), group: key.slice(first + 1, second), text: key.slice(second + 1) }
}

export const isStorageName = (name: string): boolean => /^[A-Za-z0-9_-]{1,128}$/.test(name)

/** @throws InputError where a store or group could not stand in front of a colon. */
export function checkStorageName(what: 'store' | 'group', name: string): void {
  if (!isStorageName(name)) {
    throw new InputError(
      `${what} ${JSON.stringify(name)}: use 1 to 128 letters, digits, hyphens and underscores.`,
      { [what]: name },
    )
  }
}

/** What may need an escape, or be refused: loads ask that of every key. */
const special = /[\\|,\ud800-\udfff]/

function partText({ name, type }: KeyColumns[number], value: KeyValue): string {
  if (type === 'string') {
    if (typeof value !== 'string') throw wrongKey(name, type, value, 'Pass a string')
    if (value !== '' && !special.test(value)) return value
    if (/\p{Surrogate}/u.test(value)) throw wrongKey(name, type, value, 'Use well-formed Unicode')
    return value === '' ? '\\e' : value.replace(/[\\|,]/g, '\\$&')
  }
  if (typeof value === 'string' || (typeof value === 'number' && !Number.isSafeInteger(value))) {
    throw wrongKey(name, type, value, 'Pass a bigint or a whole number that JavaScript holds exactly')
  }
  return String(checkBounds(name, type, BigInt(value)))
}

function parsePart({ name, type }: KeyColumns[number], text: string): KeyValue {
  if (type === 'string') return unescape(name, text)
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) {
    throw wrongKey(name, type, text, 'Write it in decimal without leading zeros, such as 42 or -7')
  }
  const value = checkBounds(name, type, BigInt(text))
  return type === 'int32' ? Number(value) : value
}

function checkBounds(name: string, type: Exclude<KeyType, 'string'>, value: bigint): bigint {
  const [least, greatest] = bounds[type]
  if (value < least || value > greatest) {
    throw wrongKey(name, type, value, `Use a number from ${least} to ${greatest}`)
  }
  return value
}

function unescape(name: string, text: string): string {
  if (text === '\\e') return ''
  if (text === '') throw wrongKey(name, 'string', text, 'Write \\e for the empty string')
  if (!/^(?:[^\\|,]|\\[\\|,])*$/.test(text)) {
    throw wrongKey(name, 'string', text, 'Write \\\\ for a backslash, \\| for a bar and \\, for a comma')
  }
  if (/\p{Surrogate}/u.test(text)) throw wrongKey(name, 'string', text, 'Use well-formed Unicode')
  return text.replace(/\\([\\|,])/g, '$1')
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === separator) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

/** @throws InputError where an entity has too few or too many keys */
export function checkKeyCount(columns: KeyColumns, keys: readonly KeyValue[]): void {
  checkCount(columns, keys.length, () => keys.map(String).join('|'))
}

function checkCount(columns: KeyColumns, count: number, text: () => string): void {
  if (count === columns.length) return
  const names = columns.map(({ name }) => name)
  throw new InputError(
    `entity ${JSON.stringify(text())} has ${count} keys, expected ${names.length}: ${names.join('|')}. Join the keys with a bar; inside a key write \\| for a bar.`,
    { entity: text() },
  )
}

function checkLength(text: string): void {
  // A unit of UTF-16 takes at most three bytes.
  if (3 * text.length <= maxKeyTextBytes) return
  const length = Buffer.byteLength(text)
  if (length > maxKeyTextBytes) {
    throw new InputError(
      `entity ${JSON.stringify(text.slice(0, 40))}… is ${length} bytes long as a key, the limit is ${maxKeyTextBytes}. Use a shorter key, such as a hash of it.`,
      { length },
    )
  }
}

function wrongKey(name: string, type: KeyType, value: KeyValue, cure: string): InputError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new InputError(`key ${name}: ${shown} is no ${type}. ${cure}.`, { key: name, value: String(value) })
}
