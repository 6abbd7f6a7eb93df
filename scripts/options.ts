/** What all commands share: how they print, and how they are called. */
import { Option } from 'commander'
import type { Config } from '../worker/config.ts'
import type { Format } from './output.ts'

export interface Given {
  output: Format
}

export const outputOption = () =>
  new Option('-o, --output <format>', 'text, json or jsonl')
    .choices(['text', 'json', 'jsonl'])
    .default('text')

/** Hands a command its configuration, and takes what it throws for an exit code. */
export type Calling = <Arguments extends unknown[]>(
  run: (config: Config, ...given: Arguments) => Promise<void>,
) => (...given: Arguments) => Promise<void>
