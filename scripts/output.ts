/**
 * The manners of the command line: stdout is data, stderr is talk; plain text when not a terminal.
 *
 * Exit codes: 0 done, 1 our fault, 2 your input, 4 a check found something.
 */
import { isatty } from 'node:tty'
import colors from 'picocolors'
import { AsofError, ConflictError, InputError } from '../model/index.ts'

export type Format = 'text' | 'json' | 'jsonl'
export const exitCodes = { done: 0, ourFault: 1, yourInput: 2, checkFound: 4 } as const

/** A check found something: said in full already, so only the code is left. */
export class CheckFailed extends Error {}

// Always said: left to itself the library paints wherever CI is set.
const paint = colors.createColors(isatty(2) && process.env['NO_COLOR'] === undefined)

/** Talk, for people. */
export function say(sentence = ''): void {
  process.stderr.write(`${sentence}\n`)
}

export const bold = (text: string) => paint.bold(text)
export const dim = (text: string) => paint.dim(text)
export const green = (text: string) => paint.green(text)
export const red = (text: string) => paint.red(text)
export const yellow = (text: string) => paint.yellow(text)

/** Data, for people and programs: `text` is what a person reads, the other two what a program does. */
export function print(format: Format, data: unknown, text: string): void {
  if (format === 'text') process.stdout.write(text === '' ? '' : `${text}\n`)
  else if (format === 'json') process.stdout.write(`${toJson(data, 2)}\n`)
  else for (const row of Array.isArray(data) ? data : [data]) process.stdout.write(`${toJson(row)}\n`)
}

/** bigint as its digits: JSON has no limit on them. */
export function toJson(data: unknown, indent?: number): string {
  const mark = '\u0000'
  const text = JSON.stringify(
    data,
    (_key, value: unknown) => (typeof value === 'bigint' ? `${mark}${value}` : value),
    indent,
  )
  return text.replaceAll(/"\\u0000(-?\d+)"/g, '$1')
}

/** Rows as aligned columns under a header. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(header), ...rows.map(line)].join('\n')
}

/** Ends a command that failed: one clear sentence, never a stack trace for a user's mistake. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CheckFailed) return exitCodes.checkFound
  const message = error instanceof Error ? error.message : String(error)
  say(`${red('error:')} ${message}`)
  if (error instanceof InputError || error instanceof ConflictError) return exitCodes.yourInput
  if (!(error instanceof AsofError) && error instanceof Error && process.env['ASOF_DEBUG'] !== undefined)
    say(error.stack)
  return exitCodes.ourFault
}
