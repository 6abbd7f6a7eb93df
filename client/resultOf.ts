/** What a workflow ends with, or why it did not, in its own words. */
import { WorkflowFailedError } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { InputError } from '../model/errors.ts'
import { failureTypes } from '../workflows/names.ts'

const inputTypes: ReadonlySet<string | null | undefined> = new Set([failureTypes.input, failureTypes.payload])

/** Waits for a workflow; its failure comes back as an error with the sentence that caused it. */
export async function resultOf<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error
    const { cause } = error
    const message = cause?.message ?? error.message
    const isInput = cause instanceof ApplicationFailure && inputTypes.has(cause.type)
    if (isInput) throw new InputError(message, {}, { cause: error })
    throw new Error(message, { cause: error })
  }
}
