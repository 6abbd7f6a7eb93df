/** The folder that a request names for its result: a local one that nobody has filled yet. */
import { mkdirSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { InputError } from '../../model/index.ts'
import { isAddress } from '../../offline/index.ts'
import type { ActivityDeps } from '../deps.ts'
import type { TrainingPlan } from './trainingPlan.ts'

/** Absolute. @throws InputError for an address, which would become a folder of that name */
export function outputFolder({ baseFolder }: Pick<ActivityDeps, 'baseFolder'>, output: string): string {
  if (!isAddress(output)) return resolve(baseFolder, output)
  throw new InputError(`output ${output} is not a local path. Name a folder, and copy it from there.`, {
    output,
  })
}

/**
 * Makes the folder. One of an earlier, unfinished attempt at the same set holds nothing but its parts.
 * @throws InputError where it cannot be made, or holds something else
 */
export function takeFolder({ name }: TrainingPlan, output: string): void {
  let there: string[]
  try {
    mkdirSync(output, { recursive: true })
    there = readdirSync(output)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InputError(
      `training set ${name}: output ${output} cannot be made: ${why}. Name a new folder, or leave output out.`,
      { output },
      { cause: error },
    )
  }
  if (there.every((file) => /^(part|unmatched)-\d+-/.test(file))) return
  throw new InputError(
    `training set ${name}: output ${output} is there already and not empty. Name a new folder, or leave output out.`,
    { output },
  )
}
